"""How busy the machine of this server is: processor and memory, and GPUs where there are any."""

from dataclasses import dataclass

import psutil
import pynvml


@dataclass(frozen=True, kw_only=True)
class GpuUse:
    """One GPU now."""

    name: str
    percent: float
    """Part of the last moments in which something ran on it."""
    used_bytes: int
    total_bytes: int


@dataclass(frozen=True, kw_only=True)
class MachineUse:
    """The machine now."""

    percent: float
    """Of all cores, since the last look."""
    cores: int
    used_bytes: int
    total_bytes: int
    gpus: tuple[GpuUse, ...] = ()


def machine_use() -> MachineUse:
    """What is in use now; without GPUs where there is none, or no driver that tells."""
    memory = psutil.virtual_memory()
    return MachineUse(
        percent=psutil.cpu_percent(),
        cores=psutil.cpu_count() or 1,
        used_bytes=memory.used,
        total_bytes=memory.total,
        gpus=_gpus(),
    )


def told(use: MachineUse) -> str:
    """The use in a sentence."""
    words = [
        f"processor {use.percent:.0f} % of {use.cores} cores, memory {_gigabytes(use.used_bytes, use.total_bytes)}",
        *(f"{gpu.name} {gpu.percent:.0f} %, memory {_gigabytes(gpu.used_bytes, gpu.total_bytes)}" for gpu in use.gpus),
    ]
    return "This machine: " + " · ".join(words)


def _gigabytes(used: int, total: int) -> str:
    return f"{used / 2**30:.1f} of {total / 2**30:.1f} GB"


def _gpus() -> tuple[GpuUse, ...]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return tuple(_gpu(pynvml.nvmlDeviceGetHandleByIndex(place)) for place in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:  # a driver that does not tell of this GPU
        return ()
    finally:
        pynvml.nvmlShutdown()


def _gpu(handle: object) -> GpuUse:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return GpuUse(
        name=str(pynvml.nvmlDeviceGetName(handle)),
        percent=float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        used_bytes=int(memory.used),
        total_bytes=int(memory.total),
    )
