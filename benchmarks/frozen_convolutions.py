"""Cheng and Malhi's training with frozen convolutions (FC6-8 of VGG16, CaffeNet): measured parts, and a subset whole.

    python -m benchmarks.frozen_convolutions [--networks caffenet vgg16] [--rounds 5] [--threads 2]      parts
    python -m benchmarks.frozen_convolutions --only whole --study tune_configs/cheng_caffenet_laptop.yaml \\
        --images 300 --epochs 62.5                                                                      a subset, whole
    python -m benchmarks.frozen_convolutions --only whole --kept --study tune_configs/cheng_caffenet.yaml \\
        --images 5518 --seeds 1                                                                  all of it, views kept

Parts, at the paper's size: the convolutions of one image (bf16 channels_last, and float32 as it comes), one step of the
fully connected layers on a batch of kept maps (by PyTorch's SGD, and by `engine.large_layers`), and their evaluation.
From them the paper's 62.5 epochs over 4,095 of 5,518 images of 11 classes are added up: with `crops_kept` views of each
image computed once, and with every view computed anew. An extrapolation, not a run. Wall seconds are medians of the
rounds; processor seconds divided by threads say what the same would take on cores that nobody else uses.

Whole: the same trial by `engine.training.run_trial` with views kept and without, on a subset of abdominal phantoms.
Random initial weights, so that the frozen convolutions are random too: times and agreement count, not the accuracy.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import scipy  # scipy.stats loads when it is first used
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.machine import command_line, machine_line
from engine import config, models
from engine import study as planning
from engine.datasets import open_dataset
from engine.hardware import share, this_machine
from engine.large_layers import LargeLayers
from engine.optimiser import Group, Optimiser
from engine.study_settings import Study
from engine.tasks.labels import TOGETHER_PIXELS
from engine.training import run_trial
from engine.trial import Trial

ROOT = Path(__file__).resolve().parents[1]
STUDIES = {name: ROOT / "tune_configs" / f"cheng_{name}.yaml" for name in ("caffenet", "vgg16")}
TRAINING, TEST, CLASSES = 4095, 1423, 11
"""Images and classes of Cheng and Malhi 2017."""
GOALS = {"vgg16": 60, "caffenet": 15}
"""Minutes that are asked for."""
STRATEGY = "FC6-8"
CONNECTED = ("fc6", "fc7", "fc8")
EVALUATED = 240
"""Kept maps of an evaluation that is timed."""
EVALUATION = "evaluation of a kept map, as many at once as whole images"
AT_ONCE = f"evaluation of a kept map, {EVALUATED} at once"
Call = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Took:
    """One thing, done once."""

    wall: float
    processor: float
    """Seconds of all threads."""

    def over(self, number: int) -> "Took":
        """Of one of so many."""
        return Took(wall=self.wall / number, processor=self.processor / number)


class Timer:
    """Things that take turns, each called once per round; the first round warms up."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def __call__(self, calls: dict[str, Call]) -> dict[str, Took]:
        """Medians of the rounds."""
        found: dict[str, list[Took]] = {name: [] for name in calls}
        for number in range(self._rounds + 1):
            for name, call in calls.items():
                wall, processor = time.perf_counter(), time.process_time()
                call()
                took = Took(wall=time.perf_counter() - wall, processor=time.process_time() - processor)
                if number:
                    found[name].append(took)
        return {
            name: Took(
                wall=statistics.median(took.wall for took in each),
                processor=statistics.median(took.processor for took in each),
            )
            for name, each in found.items()
        }


def convolutions(study: Study, timer: Timer) -> dict[str, Took]:
    """The frozen layers of one image, in the engine's batches, and in float32 as a peer would compute them."""
    side = study.training.crop or study.model.image_size
    together = together_of(study)
    network = models.build(study.model.name, width=study.model.width, classes=CLASSES).eval()
    fast = models.build(study.model.name, width=study.model.width, classes=CLASSES).eval()
    fast = fast.to(memory_format=torch.channels_last)
    images = torch.rand(together, 1, side, side)

    def ours() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            fast.hidden_before(images, CONNECTED[0])

    def plain() -> None:
        with torch.inference_mode():
            network.hidden_before(images, CONNECTED[0])

    found = timer({"convolutions of an image, bf16 channels_last": ours, "convolutions of an image, float32": plain})
    return {name: took.over(together) for name, took in found.items()}


def together_of(study: Study) -> int:
    """Images that the engine sees at once without a gradient."""
    return max(1, TOGETHER_PIXELS // (study.training.crop or study.model.image_size) ** 2)


class Connected:
    """FC6 to FC8 on kept maps, learning as the study says."""

    def __init__(self, study: Study, *, half: bool) -> None:
        training = study.training
        network = models.build(study.model.name, width=study.model.width, classes=CLASSES)
        self.network = nn.Sequential(*[network.get_submodule(unit) for unit in CONNECTED])
        side, self._half = training.crop or study.model.image_size, half
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            shape = network.hidden_before(torch.rand(1, 1, side, side), CONNECTED[0]).shape[1:]
        self.maps = torch.rand(training.batch_size, *shape).to(torch.bfloat16 if half else torch.float32)
        self._truth = torch.arange(training.batch_size) % CLASSES
        self.optimiser = Optimiser(
            [Group(weights=list(self.network.parameters()), rate=1e-4)], "sgd",
            momentum=training.momentum, weight_decay=training.weight_decay,
        )  # fmt: skip

    def logits(self) -> Tensor:
        """Of the batch."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            found: Tensor = self.network(self.maps).float()
            return found

    def step(self) -> None:
        """As the engine's."""
        loss = functional.cross_entropy(self.logits(), self._truth)
        self.optimiser.forget_gradients()
        torch.autograd.backward(loss)
        self.optimiser.step()

    def evaluate(self, together: int) -> None:
        """Logits of EVALUATED kept maps without a gradient, so many at once, as the engine does it."""
        self.network.eval()
        maps = self.maps[:1].expand(together, *self.maps.shape[1:]).contiguous()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            for _ in range(EVALUATED // together):
                self.network(maps)
        self.network.train()


def steps(study: Study, timer: Timer) -> dict[str, Took]:
    """A step of the fully connected layers, as SGD and with large layers updated block by block."""
    found: dict[str, Took] = {}
    for half in (True, False):
        plain, large = Connected(study, half=half), Connected(study, half=half)
        kind = "bf16" if half else "float32"
        calls: dict[str, Call] = {
            f"step on {study.training.batch_size} maps, {kind}": plain.step,
            f"step on {study.training.batch_size} maps, {kind}, large layers": large.step,
        }
        if half:
            calls[EVALUATION] = partial(plain.evaluate, together_of(study))
            calls[AT_ONCE] = partial(plain.evaluate, EVALUATED)
        with LargeLayers(large.network, large.optimiser):
            found |= timer(calls)
        del plain, large, calls
    return {name: took.over(EVALUATED) if name in (EVALUATION, AT_ONCE) else took for name, took in found.items()}


def parts_of_a_step(study: Study, rounds: int) -> dict[str, Took]:
    """Where a step of PyTorch's SGD in bf16 spends its time."""
    own = Connected(study, half=True)
    loss: list[Tensor] = []
    calls: dict[str, Call] = {
        "forward": lambda: loss.append(functional.cross_entropy(own.logits(), own._truth)),
        "gradients given back": own.optimiser.forget_gradients,
        "backward": lambda: torch.autograd.backward(loss.pop()),
        "SGD": own.optimiser.step,
    }
    return Timer(rounds)(calls)


def minutes(study: Study, conv: float, step: float, evaluation: float, *, anew: bool) -> dict[str, float]:
    """Minutes of each part of the paper's training, from seconds of an image, a step and a map's evaluation."""
    training = study.training
    scale = training.batch_size / training.rates_for_batch if training.rates_for_batch else 1.0
    iterations = round((training.iterations or 0) / scale)
    curve = -(-iterations // (training.batches_per_epoch or iterations))
    views = iterations * training.batch_size if anew else training.crops_kept * TRAINING
    # The centres of all images for curve, training accuracy and embedding; test images once more as a new image is.
    looks = curve * TEST + TRAINING + (TRAINING + TEST) + TEST
    seconds = {
        "views": views * conv,
        "centres": (TRAINING + 2 * TEST) * conv,
        "steps": iterations * step,
        "evaluation": looks * evaluation,
    }
    return {name: value / 60 for name, value in seconds.items()} | {"all": sum(seconds.values()) / 60}


def print_parts(name: str, rounds: int, threads: int) -> None:
    """Tables of one network: what was measured, where a step's time goes, and what adds up from it."""
    study, timer = config.load(STUDIES[name]), Timer(rounds)
    measured = convolutions(study, timer) | steps(study, timer)
    print(f"\n### {name}\n\n| measured | wall, ms | processor / {threads} threads, ms |\n|---|---:|---:|")
    for what, took in measured.items():
        print(f"| {what} | {1000 * took.wall:.1f} | {1000 * took.processor / threads:.1f} |")
    print(f"\n| a bf16 step by SGD, its parts | wall, ms | processor / {threads} threads, ms |\n|---|---:|---:|")
    for what, took in parts_of_a_step(study, rounds).items():
        print(f"| {what} | {1000 * took.wall:.1f} | {1000 * took.processor / threads:.1f} |")
    size = study.training.batch_size
    fast, plain = (f"convolutions of an image, {kind}" for kind in ("bf16 channels_last", "float32"))
    kept, half = f"{study.training.crops_kept} views kept", f"step on {size} maps, bf16"
    large = f"{half}, large layers"
    ways = {
        "as a peer writes it: float32, every view anew": (plain, f"step on {size} maps, float32", EVALUATION, True),
        "every view anew": (fast, half, EVALUATION, True),
        kept: (fast, half, EVALUATION, False),
        f"{kept}, large layers": (fast, large, EVALUATION, False),
        f"as the engine: {kept}, large layers, evaluation of many at once": (fast, large, AT_ONCE, False),
    }
    print(f"\n| extrapolated, minutes (asked for: {GOALS[name]}) | views | centres | steps | evaluation | all |"
          " all, by processor seconds |\n|---|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    for way, (*names, anew) in ways.items():
        took = [measured[name] for name in names]
        wall = minutes(study, *(one.wall for one in took), anew=anew)
        quiet = minutes(study, *(one.processor / threads for one in took), anew=anew)
        print(f"| {way} | {' | '.join(f'{one:.1f}' for one in wall.values())} | {quiet['all']:.1f} |", flush=True)


def trials_of(study: Study, cache: Path, images: int, epochs: float, threads: int) -> Iterator[Trial]:
    """The study's FC6-8 in its first fold, from random weights, on so many images: with views kept, and without."""
    study = replace(study, data=replace(study.data, images=images), strategies=(STRATEGY,), reference=STRATEGY)
    study = replace(study, folds=replace(study.folds, run=(0,)))
    dataset = open_dataset(study.data, study.model.image_size, cache)
    portion = replace(share(this_machine(), study.resources, study.model), threads=threads)
    trial = planning.plan(study, dataset, {}, portion)[0]
    learned = images * study.fractions[0] / 100
    iterations = max(1, round(epochs * learned / trial.batch_size))
    trial = replace(trial, iterations=iterations, start_weights=None, device="cpu")
    for kept in (study.training.crops_kept, 0):
        yield replace(trial, crops_kept=kept)


def print_whole(options: argparse.Namespace) -> None:
    """A table of both trials, and whether the cached one's accuracy lies in the other's interval."""
    study = config.load(options.study)
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        trials = list(trials_of(study, cache, options.images, options.epochs, options.threads))[
            : 1 if options.kept else 2
        ]
        data = replace(study.data, images=options.images)
        dataset = open_dataset(data, study.model.image_size, cache)
        print(f"\n### {study.model.name}, width {study.model.width}, {options.images} abdominal phantoms of "
              f"{study.model.image_size} x {study.model.image_size}, {trials[0].iterations} steps of "
              f"{trials[0].batch_size}; random initial weights; seeds: {options.seeds}\n")  # fmt: skip
        print(
            "| | s | processor s | test accuracy | 95 % (Wilson) | training accuracy |\n|---|---:|---:|---:|---:|---:|"
        )
        found = []
        for trial in trials:
            clock, seconds, right, learned = time.process_time(), 0.0, 0.0, 0.0
            for seed in range(options.seeds):
                attempt, _ = run_trial(replace(trial, seed=seed), dataset, None)
                seconds += attempt.seconds / options.seeds
                right += sum(image.accuracy or 0.0 for image in attempt.test_images) / options.seeds
                learned += (attempt.training_accuracy or 0.0) / options.seeds
            spent, number = (time.process_time() - clock) / options.seeds, len(attempt.test_images)
            ends = scipy.stats.binomtest(round(right), number).proportion_ci(method="wilson")
            found.append((right / number, ends.low, ends.high))
            name = f"{trial.crops_kept} views kept" if trial.crops_kept else "every view anew"
            print(f"| {name} | {seconds:.1f} | {spent:.1f} | {right:.1f} of {number} ({right / number:.3f}) | "
                  f"{ends.low:.3f} to {ends.high:.3f} | {learned:.3f} |", flush=True)  # fmt: skip
    if options.kept:
        return
    (kept, _, _), (_, low, high) = found
    print(f"\nThe accuracy with views kept lies {'within' if low <= kept <= high else 'OUTSIDE'} the other's interval.")


def main() -> None:
    """Print the tables."""
    options = _arguments()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(command_line("benchmarks.frozen_convolutions"))
    if options.only in (None, "parts"):
        for name in options.networks:
            print_parts(name, options.rounds, options.threads)
    if options.only in (None, "whole"):
        print_whole(options)
    print(f"\n{machine_line()}; threads: {options.threads}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("parts", "whole"), help="of the two")
    parser.add_argument("--networks", nargs="+", choices=tuple(STUDIES), default=tuple(STUDIES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--study", type=Path, default=ROOT / "tune_configs" / "cheng_caffenet_laptop.yaml")
    parser.add_argument("--images", type=int, default=300, help="of the subset")
    parser.add_argument("--seeds", type=int, default=3, help="of each training of the subset")
    parser.add_argument("--kept", action="store_true", help="only with views kept, which is hours less at full size")
    parser.add_argument("--epochs", type=float, default=62.5, help="over the subset's training images")
    return parser.parse_args()


if __name__ == "__main__":
    main()
