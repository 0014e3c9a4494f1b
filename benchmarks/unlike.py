"""How often frames are warned of as unlike the training images: of the same organ, of others, of photographs.

    python -m benchmarks.unlike FOLDER [FOLDER ...] [--others FOLDER ...] [--where label=benign,malignant]

On each folder (images with masks and a manifest) a U-Net of width 16 at 128 x 128 is fine-tuned whole from the built-in
start weights, with 80 % of the images, fold 0 of 5 by group, at most 20 epochs of 27 batches of 2. Then it is asked
about the test images of its fold, and about `--frames` images of each other folder, of as many groups as there are, as
files at their own size. Printed are the parts that are beyond the threshold by network, by look, and by one or both,
which the page warns of. Trials are kept in `--results`, so that another go trains nothing.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.machine import command_line, machine_line
from benchmarks.start_weights import TRAINING, conditions_of
from engine.errors import DataError
from engine.images import read_image
from engine.inference import planned
from engine.neighbours import Neighbours, Reference, neighbours, reference_of
from engine.predicting import TrainedNetwork, load_trial
from engine.search import running
from engine.store import Store
from engine.study_settings import DataSettings, FoldSettings, ModelSettings, SplitSettings, Study
from engine.trial_images import trial_images

Where = dict[str, tuple[str, ...]]


def study_of(folder: Path, where: Where) -> Study:
    """One training on a folder; conditions that none of its rows meets are left out."""
    kept = conditions_of(folder, where)
    place = hashlib.sha256(repr((str(folder.resolve()), kept)).encode()).hexdigest()[:6]
    return Study(
        name=f"unlike_{folder.name}_{place}",
        model=ModelSettings(width=16, image_size=128),
        data=DataSettings(folder=str(folder), where=kept),
        strategies=("whole network",),
        fractions=(80.0,),
        folds=FoldSettings(of=5, run=(0,)),
        split=SplitSettings(by="group"),
        training=TRAINING,
    )


def frames_of(folder: Path, where: Where, number: int) -> list[Path]:
    """At most so many images of a folder: every group's first, then every group's second; the last turn in part."""
    table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
    for column, values in conditions_of(folder, where).items():
        table = table[table[column].isin(values)]
    groups = table["group"].where(table["group"] != "", table["image"])
    turns = groups.groupby(groups).cumcount()
    turns, number = turns.sort_values(kind="stable"), min(number, len(table))
    table = table.loc[turns.index]
    whole = int((turns < turns.iloc[number - 1]).sum())
    last = np.flatnonzero(turns == turns.iloc[number - 1])
    spread = last[np.linspace(0, len(last) - 1, number - whole).round().astype(int)]
    return [folder / name for name in table["image"].iloc[[*range(whole), *spread]]]


def said_of(reference: Reference, network: TrainedNetwork, files: Sequence[Path]) -> list[Neighbours]:
    """What is found for files; those that are too small to be compared are left out."""
    found = []
    for file in files:
        try:
            found.append(neighbours(reference, network, read_image(file).pixels))
        except DataError as error:
            print(f"left out: {error}")
    return found


def row_of(name: str, found: Sequence[Neighbours]) -> str:
    """A row of the table."""
    parts = [
        np.mean(list(beyond)) if found else float("nan")
        for beyond in (
            (one.distance > one.threshold for one in found),
            (one.looks_unlike for one in found),
            (one.unlike for one in found),
        )
    ]
    return f"| {name} | {len(found)} | " + " | ".join(f"{part:.2f}" for part in parts) + " |"


def main() -> None:
    """Train what is not there, and print a table per folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--others", nargs="+", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--where", default="", metavar="COLUMN=VALUE,VALUE")
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    given = parser.parse_args()
    column, _, values = given.where.partition("=")
    where: Where = {column: tuple(values.split(","))} if values else {}
    store = Store.at(given.results)
    print(f"{command_line('benchmarks.unlike')}\n{machine_line()}")
    for folder in given.folders:
        study = study_of(folder, where)
        running.run(study, store, given.cache)
        network = load_trial(store, study.name, "best", cache=given.cache)
        reference = reference_of(store, network, given.cache)
        trial = planned(store, study.name, network.model.trial_id)
        own = trial_images(trial, given.cache, study.name)
        tested = own.dataset.table["image"].iloc[list(own.split.test)]
        print(
            f"\n{folder.name}: {len(own.split.training)} training images; thresholds from {len(reference.distances)} "
            "validation images\n\n| frames | number | by network | by look | one or both |\n|---|---:|---:|---:|---:|"
        )
        print(row_of("test images of its own fold", said_of(reference, network, [folder / name for name in tested])))
        for other in [*given.folders, *given.others]:
            if other != folder:
                print(
                    row_of(other.name, said_of(reference, network, frames_of(other, where, given.frames))), flush=True
                )


if __name__ == "__main__":
    main()
