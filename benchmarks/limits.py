"""How close a training step comes to what this machine can multiply, strategy by strategy, and what the rest costs.

    python -m benchmarks.limits [--width 64] [--size 256] [--batch 2] [--rounds 7] [--device cpu|cuda]
    python -m benchmarks.limits --width 16 --size 128
    python -m benchmarks.limits --units                each unit of the U-Net alone, too

A step is a training's: forward, loss, backward, optimiser, on images that are on the device, by the engine's own
functions and in the precision that the engine chooses (`--precision`). Its operations are counted from the layers: all
forward, backward only as deep as the shallowest unit that learns. The peak is a product of two square matrices
(`--matrix`) in bf16, unless the step is in float32, and in float32. Steps and products take turns, since a machine is
seldom alone: each share is that of a round, of the product measured just before the step and just after it; the table
has medians of the rounds.
A second table (whole network and block 9) is of PyTorch's profiler: of each kind of work its own seconds in one step.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.flops import step_flops
from benchmarks.machine import command_line, machine_line, versions
from engine import evaluation, segmentation
from engine.architectures import UNET_STRATEGIES, UNET_UNITS
from engine.hardware import this_machine
from engine.strategies import begin_epoch, prepare
from engine.training import build_network, optimiser_of
from engine.trial import Trial

STRATEGIES = ("whole network", "contracting", "expanding", "block 9", "block 5")
PROFILED = ("whole network", "block 9")
KINDS: dict[str, tuple[str, ...]] = {
    "upsampling": ("upsample",),
    "loss": ("cross_entropy", "crossentropy", "log_sigmoid"),
    "optimiser": ("adam", "optimizer"),
    "convolution, backward": ("convolution_backward", "convolutionbackward"),
    "convolution, forward": ("conv",),
    "activations and copies": (
        "relu", "clamp_min", "threshold", "dropout", "pool", "cat", "pad", "copy", "::to", "resize", "to_dense",
        "clone", "contiguous", "slice", "narrow", "fill", "zero", "add", "mul", "div", "bernoulli", "empty",
        "to_mkldnn", "mkldnn_reorder",
    ),
}  # fmt: skip
"""Kinds of work with what the names of their operators hold; the first that fits counts."""
OTHER = "other"
Step = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Share:
    """A step beside the machine's limit, medians of the rounds."""

    strategy: str
    flops: int
    seconds: float
    of_peak: dict[str, float]
    """Of the product of each precision, the part of its operations per second that the step reached."""

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.flops / self.seconds


def trial_of(strategy: str, units: tuple[str, ...], options: argparse.Namespace) -> Trial:
    """A trial with these units, as a study plans it."""
    return Trial(
        data="0" * 64, split_by="image", split_seed=0, folds=5, fold=0, fraction=80.0, strategy=strategy, model="unet",
        width=options.width, image_size=options.size, units=units, learning_rate=1e-4, seed=0, start_weights=None,
        batch_size=options.batch, patience=20, max_epochs=200, batches_per_epoch=27, shift=0.0, zoom=0.0, flip=False,
        precision=options.precision, threads=options.threads, device=options.device,
    )  # fmt: skip


def step_of(trial: Trial) -> Step:
    """One training step of `trial`, to be called again and again: network, loss and optimiser as a training's."""
    device = torch.device(trial.device)
    network = build_network(trial, None).to(device).to(memory_format=torch.channels_last)
    learning = prepare(network, trial.units)
    optimiser = optimiser_of(trial, network, learning)
    begin_epoch(network, trial.units, method="fine-tune", epoch=1, every=0)
    shape = (trial.batch_size, 1, trial.image_size, trial.image_size)
    images = torch.rand(shape, device=device)
    truth = (torch.rand(shape, device=device) > 0.5).float()

    def step() -> None:
        loss = segmentation.loss(evaluation.logits(trial, network, images), truth)
        optimiser.forget_gradients()
        torch.autograd.backward(loss)
        optimiser.step()

    return step


def product_of(side: int, kind: torch.dtype, device: str) -> Step:
    """One product of two square matrices."""
    first, second = (torch.rand(side, side, device=device).to(kind) for _ in range(2))
    found = torch.empty_like(first)

    def product() -> None:
        torch.mm(first, second, out=found)

    return product


def seconds_of(step: Step, device: str, least: float) -> float:
    """Seconds of a step, mean over `least` seconds of them."""
    wait(device)
    count, begun = 0, time.perf_counter()
    while True:
        step()
        count += 1
        if device == "cpu" or count % 10 == 0:
            wait(device)
            if (taken := time.perf_counter() - begun) >= least:
                return taken / count


def wait(device: str) -> None:
    """Returns when the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def share_of(strategy: str, flops: int, rounds: Iterable[tuple[float, Mapping[str, float]]]) -> Share:
    """Medians of `rounds`: seconds of a step, and operations per second of each product around it."""
    rows = list(rounds)
    return Share(
        strategy=strategy,
        flops=flops,
        seconds=statistics.median(seconds for seconds, _ in rows),
        of_peak={
            kind: statistics.median(flops / seconds / peaks[kind] for seconds, peaks in rows) for kind in rows[0][1]
        },
    )


def measure(trials: list[Trial], options: argparse.Namespace) -> tuple[list[Share], dict[str, float]]:
    """Each trial's step beside the limit, and the median peaks in operations per second."""
    kinds = {"bf16": torch.bfloat16, "float32": torch.float32}
    if options.precision == "float32":  # where it is not computed in hardware one product takes a minute
        del kinds["bf16"]
    products = {name: product_of(options.matrix, kind, options.device) for name, kind in kinds.items()}
    operations = 2 * options.matrix**3

    def peaks_now() -> dict[str, float]:
        return {
            kind: operations / seconds_of(product, options.device, options.least) for kind, product in products.items()
        }

    steps = [step_of(trial) for trial in trials]
    for step in (*products.values(), *steps):
        step()
        step()
    rows: list[list[tuple[float, dict[str, float]]]] = [[] for _ in trials]
    every = [peaks_now()]
    for _ in range(options.rounds):
        for step, own in zip(steps, rows, strict=True):
            seconds = seconds_of(step, options.device, options.least)
            every.append(peaks_now())
            own.append((seconds, {kind: (every[-2][kind] + every[-1][kind]) / 2 for kind in products}))
    shares = [
        share_of(trial.strategy, step_flops(trial.units, trial.width, trial.image_size, trial.batch_size), own)
        for trial, own in zip(trials, rows, strict=True)
    ]
    return shares, {kind: statistics.median(one[kind] for one in every) for kind in products}


def kind_of(operator: str) -> str:
    """The kind of work that an operator of the profiler is."""
    name = operator.lower()
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), OTHER)


def costs_of(step: Step, device: str, steps: int) -> dict[str, float]:
    """Seconds of each kind of work in one step, by the profiler; on a GPU those of its kernels."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    step()
    wait(device)
    with profile(activities=activities) as profiled:
        for _ in range(steps):
            step()
        wait(device)
    found = dict.fromkeys([*KINDS, OTHER], 0.0)
    for event in profiled.key_averages():
        if event.device_type.name != "CPU":
            continue  # a kernel's time is also its operator's
        own = event.self_device_time_total if device == "cuda" else event.self_cpu_time_total
        found[kind_of(event.key)] += own / 1e6 / steps
    return found


def shares_table(shares: Iterable[Share]) -> str:
    """Operations, seconds, and how close to each peak; times the time that the first peak would take."""
    rows = list(shares)
    first, *others = rows[0].of_peak
    titles = ["strategy", "GFLOP of a step", "s", "GFLOP/s", f"of {first} peak", f"times its FLOP time ({first})"]
    titles += [f"of {kind} peak" for kind in others]
    lines = [f"| {' | '.join(titles)} |", "|---" + "|---:" * (len(titles) - 1) + "|"]
    for one in rows:
        cells = [one.strategy, f"{one.flops / 1e9:,.1f}", f"{one.seconds:.4f}", f"{one.rate / 1e9:,.0f}"]
        cells += [f"{one.of_peak[first]:.0%}", f"{1 / one.of_peak[first]:.2f}"]
        lines.append(f"| {' | '.join([*cells, *(f'{one.of_peak[kind]:.0%}' for kind in others)])} |")
    return "\n".join(lines)


def costs_table(costs: Mapping[str, Mapping[str, float]]) -> str:
    """A row per kind of work, for each strategy its milliseconds in one step and their part of all."""
    lines = [f"| ms of one step | {' | '.join(costs)} |", "|---" + "|---:" * len(costs) + "|"]
    totals = {strategy: sum(kinds.values()) for strategy, kinds in costs.items()}
    for kind in [*KINDS, OTHER]:
        cells = [f"{1e3 * kinds[kind]:.2f} ({kinds[kind] / totals[name]:.0%})" for name, kinds in costs.items()]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    lines.append(f"| all | {' | '.join(f'{1e3 * total:.2f}' for total in totals.values())} |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    machine = this_machine()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--size", type=int, default=256, help="side of the images, a multiple of 16")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--least", type=float, default=0.3, help="seconds over which each mean is taken")
    parser.add_argument("--profiled", type=int, default=5, help="steps that are profiled; 0 leaves the table out")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if machine.gpus else "cpu")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--matrix", type=int, help="side of the matrices: 2,048, on a GPU 8,192")
    parser.add_argument("--units", action="store_true", help="each unit alone, too")
    options = parser.parse_args()
    if options.device == "cuda" and not machine.gpus:
        parser.error("--device cuda: this machine has no GPU; use --device cpu")
    if options.size % 16 or min(options.width, options.batch, options.rounds, options.threads) < 1:
        parser.error("--size must be a multiple of 16; --width, --batch, --rounds and --threads at least 1")
    fast = machine.gpu_bfloat16 if options.device == "cuda" else machine.processor_bfloat16
    if options.precision == "auto":
        options.precision = "bfloat16" if fast else "float32"
    options.matrix = options.matrix or (8192 if options.device == "cuda" else 2048)
    return options


def main() -> None:
    """Prints both tables."""
    options = arguments()
    load = os.getloadavg()
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # its profiler talks on the error stream
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    units = {name: UNET_STRATEGIES[name].units for name in STRATEGIES}
    if options.units:
        units |= {f"unit {unit}": (unit,) for unit in UNET_UNITS}
    trials = [trial_of(name, own, options) for name, own in units.items()]
    shares, peaks = measure(trials, options)
    gpu = torch.cuda.get_device_name() if options.device == "cuda" else None
    print(command_line("benchmarks.limits"))
    print(machine_line(load, gpu))
    print(
        f"width {options.width}, {options.size} x {options.size}, batches of {options.batch}, {options.precision}, "
        f"{options.threads} threads, {options.rounds} rounds, {versions('torch')}; product of {options.matrix:,} x "
        f"{options.matrix:,}: {', '.join(f'{peak / 1e9:,.0f} GFLOP/s {kind}' for kind, peak in peaks.items())}\n"
    )
    print(shares_table(shares), flush=True)
    if options.profiled:
        costs = {
            trial.strategy: costs_of(step_of(trial), options.device, options.profiled)
            for trial in trials
            if trial.strategy in PROFILED
        }
        print(f"\n{costs_table(costs)}")


if __name__ == "__main__":
    main()
