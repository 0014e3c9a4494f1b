"""What this machine has, and what one trial may sensibly take of it."""

import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil

from engine.architectures import CLASSIFIERS, classifier_parameters
from engine.errors import StudyFileError
from engine.study_settings import ModelSettings, ResourceSettings

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What this machine has."""

    host: str
    processor: str
    cores: int
    """Cores that this process may use."""
    memory_gb: float
    gpu: str | None
    """Name of the first GPU; None without one."""
    gpus: int
    gpu_memory_gb: float
    processor_bfloat16: bool
    """Whether the processor multiplies bfloat16 in hardware."""
    gpu_bfloat16: bool
    """Whether the GPU does."""
    computes_bfloat16: bool = True
    """Whether the processor runs networks in bfloat16 at all, fast or not."""

    @property
    def fast_bfloat16(self) -> bool:
        """Whether the device that trains by default multiplies bfloat16 in hardware."""
        return self.gpu_bfloat16 if self.gpus else self.processor_bfloat16


@dataclass(frozen=True, kw_only=True)
class Share:
    """What one trial takes."""

    device: Literal["cpu", "cuda"]
    cpu: int
    gpu: float
    threads: int
    precision: Precision
    at_once: int
    """Trials at once."""


def this_machine() -> Machine:
    """What this machine has. Loads torch, which alone knows the devices."""
    import torch

    cuda = torch.cuda.is_available()
    properties = torch.cuda.get_device_properties(0) if cuda else None
    return Machine(
        host=socket.gethostname(),
        processor=_processor(),
        cores=usable_cores(),
        memory_gb=round(_memory_bytes() / 2**30, 1),
        gpu=properties.name if properties else None,
        gpus=torch.cuda.device_count() if cuda else 0,
        gpu_memory_gb=round(properties.total_memory / 2**30, 1) if properties else 0.0,
        processor_bfloat16=processor_multiplies_bfloat16(torch.cpu.get_capabilities()),
        gpu_bfloat16=cuda and torch.cuda.get_device_capability(0) >= (8, 0),
        computes_bfloat16=processor_computes_bfloat16(),
    )


def share(
    machine: Machine,
    resources: ResourceSettings,
    model: ModelSettings,
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
) -> Share:
    """What one trial takes of `machine`: as the study file says, else one core a trial, or a part of the GPU.

    One thread per trial and a trial per core trains more images per second than two threads on one trial.
    Raises StudyFileError where the study file asks for more than there is.
    """
    wanted_gpu = resources.gpu if resources.gpu is not None else _gpu_part(machine, model)
    cpu = resources.cpu if resources.cpu is not None else 1
    problems = []
    if cpu > machine.cores:
        problems.append(f"resources.cpu: {cpu} cores per trial asked for; this machine has {machine.cores}")
    if wanted_gpu > machine.gpus:
        problems.append(f"resources.gpu: {wanted_gpu:g} GPUs per trial asked for; this machine has {machine.gpus}")
    if precision == "bfloat16" and not wanted_gpu and not machine.computes_bfloat16:
        problems.append(
            "training.precision: bfloat16 asked for; this machine's processor runs no network in it: auto or float32"
        )
    if problems:
        raise StudyFileError(problems)
    places = machine.cores // cpu
    fast = machine.gpu_bfloat16 if wanted_gpu else machine.processor_bfloat16
    if wanted_gpu:
        whole = int(wanted_gpu) if wanted_gpu >= 1 else 0
        places = min(places, machine.gpus // whole if whole else machine.gpus * int(1 / wanted_gpu + 1e-9))
    else:
        places = min(places, max(1, int(0.8 * machine.memory_gb / memory_gb(model))))
    return Share(
        device="cuda" if wanted_gpu else "cpu",
        cpu=cpu,
        gpu=wanted_gpu,
        threads=cpu,
        precision=("bfloat16" if fast else "float32") if precision == "auto" else precision,
        at_once=min(places, resources.at_once) if resources.at_once is not None else places,
    )


def memory_gb(model: ModelSettings) -> float:
    """Memory of one training, estimated from activations of a batch of two and the optimiser's state.

    Of a classifier from its parameters with their gradients and Adam's two moments, and frozen layers computed once.
    """
    if model.name in CLASSIFIERS:
        size = sum(classifier_parameters(model.name, model.width, CLASSIFIERS[model.name].classes).values())
        return 1.0 + 16e-9 * size + 2.0 * model.width / CLASSIFIERS[model.name].width
    return 1.0 + 3.0 * (model.width / 64) * (model.image_size / 256) ** 2 + 0.6 * (model.width / 64) ** 2


def room_bytes(device: "torch.device") -> int:
    """Memory that one trial may fill with what saves it time: a quarter of what is free, as it has neighbours."""
    import torch

    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else _memory_left()
    return int(free) // 4


def _memory_left() -> int:
    """Bytes that are free, in this container where it has a limit."""
    left = int(psutil.virtual_memory().available)
    _, limit = container_limits()
    return left if limit is None else min(left, limit)


def _gpu_part(machine: Machine, model: ModelSettings) -> float:
    if not machine.gpus:
        return 0.0
    together = int(min(4, machine.cores / machine.gpus, machine.gpu_memory_gb / (2 * memory_gb(model))))
    return 1.0 / max(1, together)


def container_limits(root: Path = Path("/sys/fs/cgroup")) -> tuple[float | None, int | None]:
    """Cores and bytes of memory that a container may use (control groups, version 2 or 1); None where unlimited."""
    old = [*_words(root / "cpu/cpu.cfs_quota_us"), *_words(root / "cpu/cpu.cfs_period_us")]
    cpu = [int(word) for word in _words(root / "cpu.max") or old if word.isdigit()]
    memory = [
        int(word)
        for word in _words(root / "memory.max") or _words(root / "memory/memory.limit_in_bytes")
        if word.isdigit()
    ]
    cores = cpu[0] / cpu[1] if len(cpu) == 2 and cpu[1] else None
    return cores, memory[0] if memory and memory[0] < 2**60 else None  # version 1 writes a huge number for no limit


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def usable_cores() -> int:
    """Cores that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit, _ = container_limits()
    return max(1, min(usable, int(limit))) if limit is not None else usable


def _memory_bytes() -> int:
    total = int(psutil.virtual_memory().total)
    _, limit = container_limits()
    return total if limit is None else min(total, limit)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def processor_computes_bfloat16() -> bool:
    """Whether PyTorch runs convolutions in bfloat16 on this processor; on x86 it takes AVX-512 or AVX-NE-CONVERT."""
    import torch

    if platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return True
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def processor_multiplies_bfloat16(capabilities: Mapping[str, object]) -> bool:
    """Whether a processor with these capabilities (`torch.cpu.get_capabilities()`) has bfloat16 in hardware."""
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
