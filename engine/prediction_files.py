"""Write what a trained trial says of many files: masks, overlays and a table, a frame at a time."""

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from PIL import Image

from engine.clip_writing import SUFFIX, AddFrame, clip_size, clip_writer
from engine.errors import DataError
from engine.images import Clip, image_suffix, is_image_file, is_image_name, open_clip
from engine.neighbours import Reference, neighbours
from engine.overlays import Overlay
from engine.predicting import TOP, FrameSaid, TrainedNetwork, predict_clip

TABLE = "predictions.csv"
LIKENESS = ("unlike", "distance", "distance_threshold", "look", "look_threshold")
"""Columns on a frame among the training images: true or false and why; "" where that is not known."""


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """A file that was asked for, and what its masks and overlays are called."""

    path: Path
    name: str
    """Below the folder that was given, with `/`; alone, its name."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """How far the work is."""

    file: str
    files: int
    """Files begun, this one included."""
    of: int
    frame: int
    frames: int
    """Frames of this file, as it says."""
    kept: tuple[str, ...] = ()
    """What was kept of this file, a line each (`engine.images.Kept.told`), once; () afterwards."""
    problem: str = ""
    """Why this file gave no (further) answer, one line; "" where it did."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """What came of it."""

    files: int
    """Files with at least one answer."""
    frames: int
    problems: tuple[str, ...]
    """A line per file that could not be read to its end."""
    table: Path
    milliseconds: tuple[float, float]
    """Of a frame, from its file to the answer: median and 95th percentile; NaN without frames."""


def find_files(paths: Sequence[Path], *, leave_out: Path | None = None) -> list[FoundFile]:
    """The files themselves, and all images, clips and DICOM inside folders, in the order of their names.

    What lies in the folder `leave_out`, where answers are written, is not looked for. Raises DataError with a line per
    path that is not there and per folder without images.
    """
    found: list[FoundFile] = []
    problems: list[str] = []
    for path in paths:
        if path.is_dir():
            inside = [
                one
                for one in sorted(path.rglob("*"))
                if one.is_file() and is_image_file(one) and not (leave_out and one.is_relative_to(leave_out))
            ]
            found += [FoundFile(path=one, name=one.relative_to(path).as_posix()) for one in inside]
            if not inside:
                problems.append(f"{path}: no image, clip or DICOM in this folder; give another")
        elif path.is_file():
            found.append(FoundFile(path=path, name=path.name))
        else:
            problems.append(f"{path}: no such file or folder")
    if problems:
        raise DataError(problems)
    return found


def write_predictions(
    network: TrainedNetwork,
    files: Sequence[FoundFile],
    out: Path,
    *,
    scanner: str = "",
    kind: Overlay = "outline",
    reference: Reference | None = None,
    tell: Callable[[Done], None] = lambda done: None,
) -> Written:
    """Ask `network` about all `files` and write what it says into the folder `out`, which is made.

    `predictions.csv` gets a row per frame as soon as it is answered; `masks/` a PNG per frame at the frame's size (255,
    or equal steps up to 255 for several structures); `overlays/` a picture, or of a clip a WebM. Classifiers
    have the table alone. With `reference` (`engine.neighbours.reference_of`) the table says of each frame whether it is
    unlike the training images. Files of an earlier call are written over. A file that cannot be read is told of and the
    next one begun. Raises DataError where `out` cannot be written.
    """
    problems: list[str] = []
    times: list[float] = []
    answered = 0
    names = _Names()
    try:
        for folder in [out] if network.classifies else [out, out / "masks", out / "overlays"]:
            folder.mkdir(parents=True, exist_ok=True)
        with (out / TABLE).open("w", newline="", encoding="utf-8") as stream:
            rows = _Table(stream, network, reference, scanner)
            for number, file in enumerate(files, start=1):
                before, frames, problem = len(times), 0, ""
                try:
                    with open_clip(file.path, name=file.name) as clip:
                        frames, kept = clip.kept.frames, clip.kept.told
                        tell(Done(file=file.name, files=number, of=len(files), frame=0, frames=frames, kept=kept))
                        for said, places in _write_file(network, clip, out, names.new(file.name), scanner, kind):
                            rows.add(file.name, said, places, kept)
                            times.append(said.milliseconds)
                            tell(Done(file=file.name, files=number, of=len(files), frame=said.frame, frames=frames))
                except DataError as error:
                    problem = " ".join(error.problems)
                    if not problem.startswith(file.name):
                        problem = f"{file.name}: {problem}"
                    problems.append(problem)
                answered += len(times) > before
                done = len(times) - before
                tell(
                    Done(
                        file=file.name, files=number, of=len(files), frame=done, frames=frames or done, problem=problem
                    )
                )
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}); choose another folder with --out") from error
    middle = np.percentile(times, (50, 95)) if times else (np.nan, np.nan)
    return Written(
        files=answered,
        frames=len(times),
        problems=tuple(problems),
        table=out / TABLE,
        milliseconds=(float(middle[0]), float(middle[1])),
    )


def _write_file(
    network: TrainedNetwork, clip: Clip, out: Path, name: str, scanner: str, kind: Overlay
) -> Iterator[tuple[FrameSaid, tuple[str, str]]]:
    """Each answer with the paths of its mask and overlay below `out`, which are written; "" of classifiers."""
    single = clip.kept.frames == 1
    digits = max(4, len(str(clip.kept.frames)))
    with ExitStack() as stack:
        add: AddFrame | None = None
        for said in predict_clip(network, clip, scanner=scanner):
            if said.outlined is None:
                yield said, ("", "")
                continue
            mask = f"masks/{name}.png" if single else f"masks/{name}/{said.frame:0{digits}}.png"
            shown = f"overlays/{name}.png" if single else f"overlays/{name}{SUFFIX}"
            _save(out / mask, mask_picture(said))
            if single:
                _save(out / shown, said.drawn(kind))
            else:
                if add is None:
                    (out / shown).parent.mkdir(parents=True, exist_ok=True)
                    add = stack.enter_context(clip_writer(out / shown, frame_ms=clip.kept.frame_ms))
                add(said.drawn(kind, size=clip_size(*said.pixels.shape)))
            yield said, (mask, shown)


def mask_picture(said: FrameSaid) -> np.ndarray:
    """The mask as gray values: 255 on the structure; of several, equal steps up to 255 in their order."""
    assert said.outlined is not None
    return said.outlined.mask * np.uint8(255 // max(1, len(said.names)))


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, "PNG", compress_level=1)


class _Names:
    """Names for what is written, no two alike: of `a/b.png` it is `a/b`, then `a/b-2`."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def new(self, name: str) -> str:
        # Names such as 1.2.840.113619.2 end in no suffix, and cutting their last number makes two of them one.
        stem = name[: len(name) - len(image_suffix(name))] if is_image_name(Path(name).name) else name
        free, number = stem, 1
        while free.casefold() in self._taken:
            number += 1
            free = f"{stem}-{number}"
        self._taken.add(free.casefold())
        return free


class _Table:
    """The table of answers, a row at a time."""

    def __init__(self, stream: TextIO, network: TrainedNetwork, reference: Reference | None, scanner: str) -> None:
        self._stream, self._network, self._reference, self._scanner = stream, network, reference, scanner
        self._writer = csv.writer(stream)
        self._writer.writerow([*columns(network), *LIKENESS, "kept"])

    def add(self, file: str, said: FrameSaid, places: tuple[str, str], kept: Sequence[str]) -> None:
        paths = [] if self._network.classifies else places
        likeness: list[Any] = [""] * len(LIKENESS)
        if self._reference is not None:
            found = neighbours(self._reference, self._network, said.pixels, scanner=self._scanner)
            figures = (found.distance, found.threshold, found.look, found.look_threshold)
            likeness = [str(found.unlike).lower(), *map("{:.4g}".format, figures)]
        self._writer.writerow([file, *row(self._network, said), *paths, *likeness, " ".join(kept)])
        self._stream.flush()


def columns(network: TrainedNetwork) -> list[str]:
    """Names of the table's columns on what the network says."""
    shared = ["file", "frame", "width", "height"]
    if network.classifies:
        ranks = range(1, min(TOP, len(network.names)) + 1)
        ranked = [column for rank in ranks for column in (f"class_{rank}", f"probability_{rank}")]
        return [*shared, "milliseconds", *ranked, *(f"probability of {name}" for name in network.names)]
    several = network.names if len(network.names) > 1 else ()
    areas = [column for name in several for column in (f"area_pixels of {name}", f"area_mm2 of {name}")]
    return [*shared, "milliseconds", "area_pixels", "area_mm2", *areas, "mask", "overlay"]


def row(network: TrainedNetwork, said: FrameSaid) -> list[Any]:
    """The row of an answer from its frame's number on, without paths; "" where the size of a pixel is unknown."""
    height, width = said.pixels.shape
    shared = [said.frame, width, height, f"{said.milliseconds:.1f}"]
    if said.classified is not None:
        ranked = [part for name, p in said.ranked[:TOP] for part in (name, f"{p:.6f}")]
        return [*shared, *ranked, *(f"{float(p):.6f}" for p in said.classified.probabilities)]
    several = said.areas_pixels.values() if len(network.names) > 1 else ()
    areas = [part for count in several for part in (count, _mm2(said.in_mm2(count)))]
    return [*shared, said.area_pixels, _mm2(said.area_mm2), *areas]


def _mm2(area: float | None) -> str:
    return "" if area is None else f"{area:.3f}"
