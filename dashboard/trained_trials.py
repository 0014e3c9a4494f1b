"""Which trained trials can be shown live, best first, and what each was trained on. Needs no torch."""

from collections.abc import Mapping
from threading import Lock
from typing import Any

import pandas as pd

from dashboard.figures.answer import NETWORKS, network_name
from dashboard.figures.measures import main_of
from engine.datasets.kept_crop import kept_crop
from engine.store import Store
from engine.trained import find_trial, trained_trials, unkept
from engine.trial import AS_PRETRAINED, Task

ID_LETTERS = 64
"""Of a trial's id: a SHA-256."""


class TrainedStudies:
    """Studies of a store whose trained tensors are kept. What was read is kept until new weights appear."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._tables: dict[str, tuple[frozenset[str], pd.DataFrame]] = {}

    def seen(self) -> list[Any]:
        """What an open page compares to know whether it must be drawn anew."""
        return [[study, len(self._store.has_weights(study)), len(self.table(study))] for study in self._store.studies()]

    def names(self) -> list[str]:
        """Studies with at least one trained trial."""
        return [study for study in self._store.studies() if len(self.table(study))]

    def table(self, study: str) -> pd.DataFrame:
        """A row per trained trial, most images first, then highest `best_validation` (Dice, or accuracy)."""
        plan = self._store.plan(study)
        kept = frozenset(self._store.has_weights(study) & set(plan["id"]))
        with self._lock:
            known = self._tables.get(study)
            if known is not None and known[0] == kept:
                return known[1]
        table = trained_trials(self._store, study)
        # Weights are written before their row: a listing between the two is looked at again.
        if set(table["id"]) == kept:
            with self._lock:
                self._tables[study] = (kept, table)
        return table

    def trials(self, study: str) -> list[tuple[str, str]]:
        """(label, trial id) in the order of `table`; rate and seed are named where they differ."""
        table = self.table(study)
        rates, seeds = table["learning_rate"].nunique() > 1, table["seed"].nunique() > 1
        measure = main_of(self._store.facts(study)).main
        return [(_label(row, measure, rate=rates, seed=seeds), row["id"]) for row in table.to_dict("records")]

    def find(self, study: str, wanted: str) -> str:
        """The id of the trial that is meant: an id, the first letters of one, or "best". Raises StoreError."""
        # A whole id is asked of the inference process, which knows best whether its weights are there.
        return wanted if len(wanted) == ID_LETTERS else find_trial(self._store, study, wanted)

    def short_name(self, study: str, trial_id: str) -> str:
        """What a trial is called where there is little room: its strategy and fold."""
        rows = self.table(study)
        row = rows[rows["id"] == trial_id].to_dict("records")
        return f"{row[0]['strategy']}, fold {row[0]['fold']}" if row else trial_id[:8]

    def task(self, study: str) -> Task:
        """What the study's networks learn."""
        return main_of(self._store.facts(study)).task

    def scanners(self, study: str) -> list[str]:
        """Names of the study's central squares, where it cuts one for each of several scanners out of its frames."""
        crop = kept_crop(self._store.study_text(study))
        return list(crop) if isinstance(crop, Mapping) and len(crop) > 1 else []

    def provenance(self, study: str, trial_id: str) -> str:
        """One line: what the trial's network was trained on, from which weights, and how well it did."""
        facts = self._store.facts(study)
        data, told = facts.get("data", {}), facts.get("start_weights") or []
        table = self.table(study)
        rows = table[table["id"] == trial_id].to_dict("records")
        if not rows:
            return "This trial is not among the study's trained trials any more; choose another."
        row = rows[0]
        name = {"unet": f"U-Net, width {row['width']}", "smp": "U-Net of segmentation-models-pytorch"}
        named = network_name(row["model"]) if row["model"] in NETWORKS else name.get(row["model"], row["model"])
        seen = f", of which it sees the centre of {row['crop']} × {row['crop']}" if row.get("crop") else ""
        network = f"{named}, {row['image_size']} × {row['image_size']}{seen}"
        starts = [told] if isinstance(told, dict) else told  # one section, as older versions wrote it
        start = next((one for one in starts if one.get("sha256") == row["start_weights"]), {})
        if row["strategy"] == "from scratch" or not isinstance(row["start_weights"], str):
            learned = "trained from random weights"
        else:
            described = start.get("description") or start.get("kind") or "start weights"
            share = 100 * row["trainable_parameters"] / max(1, row["total_parameters"])
            then = f"then {row['strategy']} fine-tuned ({share:.1f} % of the parameters)"
            before = described if described.startswith("pre-trained") else f"pre-trained ({described})"
            learned = f"{before}, {then if row['strategy'] != AS_PRETRAINED else 'not fine-tuned'}"
        images = f"{row['training_images']} images of {data.get('name', 'unknown data')}"
        parts = [
            f"Trained on {images}" if row["training_images"] else f"For {data.get('name', 'unknown data')}",
            str(data.get("provenance", "")),
            network,
            learned,
        ]
        # Not on its test images, which are told of once all folds of its cell are done.
        if pd.notna(row["best_validation"]):
            parts.append(f"{main_of(facts).main} {row['best_validation']:.3f} on its validation images")
        return " · ".join(part.rstrip(".") for part in parts if part)

    def nothing_yet(self) -> str:
        """Markdown: what to do where no trial can be shown."""
        running = []
        for study in self._store.studies():
            progress = self._store.progress(study)
            if progress.get("alive"):
                phase = progress.get("phase") or progress.get("state", "running")
                running.append(f"- **{study}** is running ({phase}); its first trial appears here when it is finished.")
        if running:
            return "### No trial is finished yet\n\n" + "\n".join(running)
        if lines := [f"- {line}" for study in self._store.studies() if (line := unkept(self._store, study))]:
            return "### No trained network was kept\n\n" + "\n".join(lines)
        return (
            "### Nothing is trained yet\n\nLive shows what a trained network says of your frame. "
            "Train the built-in study first, in a terminal:\n\n```\nwhichlayers run tune_configs/demo.yaml\n```\n\n"
            "This page fills as soon as its first trial is finished."
        )


def _label(row: Mapping[Any, Any], measure: str, *, rate: bool, seed: bool) -> str:
    parts = [str(row["strategy"]), f"{row['fraction']:g} %", f"fold {row['fold']}"]
    parts += [f"rate {row['learning_rate']:g}"] if rate else []
    parts += [f"seed {row['seed']}"] if seed else []
    parts += [f"repeat {row['repeat']} of a failed fold"] if row["repeat"] else []
    if pd.notna(row["best_validation"]):
        parts.append(f"validation {measure} {row['best_validation']:.2f}")
    return " · ".join(parts)
