"""Which frames the readers of a study classify, the same for all of them, and which labelled ones they may look at."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from engine.datasets import Dataset
from engine.errors import DataError, StoreError
from engine.splits import Split, split_images
from engine.splits.pool import shuffled
from engine.store import Store
from engine.store.files import said

FOLDER = "readers"
FILE = "frames.json"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One test image."""

    index: int
    """Place in the data set's arrays."""
    image: str
    group: str
    scanner: str
    label: str
    """True class."""
    fold: int
    """Fold in whose test set it is."""


@dataclass(frozen=True, kw_only=True)
class Frames:
    """What the readers of a study classify, and under which conditions."""

    fingerprint: str
    """Of the data set."""
    classes: tuple[str, ...]
    fold: int | None
    """The test set of one fold; None is that of all planned folds."""
    most: int | None
    """At most so many frames, drawn at random; None is all."""
    feedback: bool
    """The true class is shown after each answer, which then stands."""
    frames: tuple[Frame, ...]
    """In the order of the data set: every reader has a random order of the own."""
    labelled: tuple[tuple[int, str], ...]
    """Place and class of each image that readers may look at with its class: none shares a group with a frame."""


def folds(plan: pd.DataFrame) -> list[int]:
    """The planned folds, whose test sets can be read."""
    return sorted({int(fold) for fold in plan["fold"]})


def choose_frames(
    plan: pd.DataFrame, dataset: Dataset, *, fold: int | None = None, most: int | None = None, feedback: bool = False
) -> Frames:
    """The test images of `fold` (None: of all planned folds), at most `most` of them, drawn by data set and fold.

    Labelled are the images that networks of the fold train on; of several folds, where all images are tested, those
    whose group has no chosen frame. Raises DataError where the study has no classes, the fold is not planned, or
    `most` is below one.
    """
    problems: list[str] = []
    planned = folds(plan)
    if not dataset.classes:
        problems.append(f"{dataset.name}: readers classify images, and these have no classes; choose another study")
    if fold is not None and fold not in planned:
        problems.append(f"fold {fold}: not planned; expected one of {', '.join(map(str, planned))}, or all of them")
    if most is not None and most < 1:
        problems.append(f"{most} frames asked; expected one at least, or no limit")
    if problems:
        raise DataError(problems)
    splits = {one: _split(plan, dataset, one) for one in (planned if fold is None else [fold])}
    tested = {index: one for one, split in splits.items() for index in split.test}
    chosen = sorted(tested)
    if most is not None:
        drawn = shuffled([str(index) for index in chosen], "reader frames", dataset.fingerprint, str(fold))
        chosen = sorted(int(name) for name in drawn[:most])
    if fold is not None:
        labelled = sorted({*splits[fold].training, *splits[fold].validation})
    else:
        groups = dataset.groups_for_splits(plan["split_by"].iloc[0]) or [str(n) for n in range(len(dataset.table))]
        taken = {groups[index] for index in chosen}
        labelled = [index for index, group in enumerate(groups) if group not in taken]
    about = dataset.table
    return Frames(
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        fold=fold,
        most=most,
        feedback=feedback,
        frames=tuple(
            Frame(index=index, fold=tested[index], **_texts(about, index, "image", "group", "scanner", "label"))
            for index in chosen
        ),
        labelled=tuple((index, str(about["label"].iloc[index])) for index in labelled),
    )


def kept_frames(store: Store, study: str) -> Frames | None:
    """The frames of the study's readers; None before the first reader. Raises StoreError where the file is damaged."""
    name = f"{study}/{FOLDER}/{FILE}"
    content = store.files.read(name)
    if content is None:
        return None
    try:
        told = json.loads(content)
        return Frames(
            **{
                **told,
                "classes": tuple(told["classes"]),
                "frames": tuple(Frame(**frame) for frame in told["frames"]),
                "labelled": tuple((int(index), str(label)) for index, label in told["labelled"]),
            }
        )
    except (ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(
            f"{store.files.root}/{name} is damaged ({reason}); put back a copy: it says which frames readers answered"
        ) from None


def keep_frames(store: Store, study: str, frames: Frames) -> Frames:
    """Keeps the frames where none are kept yet. Raises StoreError where others are: all readers have the same."""
    path = folder(store, study) / FILE
    kept = kept_frames(store, study)
    if kept is None:
        aside = path.with_name(f".{FILE}.{uuid.uuid4().hex}")
        with said(path, "written"):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with aside.open("x") as stream:
                    json.dump(asdict(frames), stream)
                    stream.flush()
                    os.fsync(stream.fileno())
                with suppress(FileExistsError):  # another reader was first
                    path.hardlink_to(aside)
            finally:
                aside.unlink(missing_ok=True)
            fsync_folder(path.parent)
        kept = kept_frames(store, study)
    if kept != frames:
        raise StoreError(" ".join(_differences(store, study, kept, frames)))
    return kept


def folder(store: Store, study: str) -> Path:
    """Where the study's readers are kept. Raises StoreError where the store is not on this machine."""
    if not store.files.local:
        raise StoreError(
            f"{store.files.root}: readers need a local folder, where an answer is on disk at once; "
            "start the dashboard with --store FOLDER"
        )
    return Path(store.files.path(f"{study}/{FOLDER}"))


def fsync_folder(path: Path) -> None:
    """Makes the names in a folder as lasting as the files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def words(frames: Frames) -> str:
    """`200 frames of fold 0, at random, the class told after each`."""
    place = "all planned folds" if frames.fold is None else f"fold {frames.fold}"
    drawn = ", at random" if frames.most is not None else ""
    told = ", the class told after each" if frames.feedback else ""
    return f"{len(frames.frames)} frames of {place}{drawn}{told}"


def _differences(store: Store, study: str, kept: Frames | None, frames: Frames) -> Iterator[str]:
    if kept is None:
        yield f"{store.files.root}/{study}/{FOLDER}/{FILE} was taken away; begin again"
    elif kept.fingerprint != frames.fingerprint:
        yield (
            f"{store.files.root}/{study}/{FOLDER} holds answers to other images than the study has now;"
            " move the folder away, or give the study another name"
        )
    else:
        yield f"the readers of '{study}' have {words(kept)}, and {words(frames)} were asked: all have the same;"
        yield "begin again with theirs, or move the folder 'readers' of the study away"


def _split(plan: pd.DataFrame, dataset: Dataset, fold: int) -> Split:
    # With folds of its own for every strategy, the first planned one's are read.
    row = plan[plan["fold"] == fold].iloc[0]
    return split_images(
        images=len(dataset.images),
        groups=dataset.groups_for_splits(row["split_by"]),
        by=row["split_by"],
        given=[str(name) for name in dataset.table["split"]],
        of=int(row["folds"]),
        fold=fold,
        fraction=0.0,
        seed=int(row["split_seed"]),
        validation=float(row["validation"]),
    )


def _texts(table: pd.DataFrame, index: int, *columns: str) -> dict[str, str]:
    return {name: str(table[name].iloc[index]) for name in columns}
