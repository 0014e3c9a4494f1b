"""The methods in words."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dashboard.figures.cells import CHOSEN
from dashboard.report.findings import Findings, read_findings
from dashboard.report.methods import hash_of_test_sets, hashes
from engine.published import CITATION
from engine.store import Store
from tests.report.conftest import text_of


def test_the_methods_say_what_the_plan_says(read: Callable[[str], Findings]) -> None:
    text = text_of(read("three"))
    for sentence in (
        "They were shared out at random into five folds, by image (split seed 0).",
        "Three of them were each the test set once.",
        "The numbers of images were 54 for training, 14 for validation and 17 for testing (80 %)",
        "with 16 filters in its first block and a sigmoid",
        f"(doi:{CITATION.doi})",
        "The start weights were 1,000 made natural-like images.",
        "Random initial weights were used for from scratch.",
        "Six strategies were tried: whole network, contracting,",
        "in batches of 2 images and 27 batches per epoch whatever the fraction",
        "had not fallen for 20 epochs, and for 15 epochs at most",
        "The learning rate was 10⁻⁴.",
        "shifted by up to 5 % of their side, zoomed by up to 5 % and mirrored left and right",
        "Tables rest on 36 trainings.",
        "Two failed to converge (diverged): counted, and left out of means.",
        "Two collapsed",
        "between 588,400 (30 %) and all of the network's 1,940,817 parameters",
        "36 had not stopped by themselves after 15 epochs and were cut there, and are kept.",
        "within 0.01 Dice",
        "Made with WhichLayers 9.8.7, PyTorch 2.15.0, Ray 2.60.0, NumPy 2.4.6 and Python 3.11.7.",
        "The machine: made, 2 cores, 8 GB of memory.",
    ):
        assert sentence in text, sentence
    assert not re.search(r"\b(None|nan)\b|  |\.\.|\{|\}", text)


def test_numbers_in_the_methods_follow_the_plan_and_the_facts(read: Callable[[str], Findings]) -> None:
    found = read("three")
    other = replace(
        found,
        plan=found.plan.assign(patience=7, batch_size=4, width=64, shift=0.0, zoom=0.0, flip=False, split_by="group"),
        facts={**found.facts, "margin": 0.03, "data": {**found.facts["data"], "groups": 12, "images": 4321}},
    )
    text = text_of(other)
    for words_ in (
        "had not fallen for 7 epochs", "batches of 4 images", "with 64 filters", "were not augmented",
        "so that no group had images both in a test set and", "within 0.03 Dice", "The 4,321 images are of 12 groups",
    ):  # fmt: skip
        assert words_ in text, words_


def test_kept_views_are_told_of(read: Callable[[str], Findings]) -> None:
    found = read("three")
    assert "computed once" not in text_of(found)
    kept = found.plan.assign(crops_kept=[8 if name == "contracting" else 0 for name in found.plan["strategy"]])
    assert "For 'contracting' what the frozen layers make of eight random views of each training image" in text_of(
        replace(found, plan=kept)
    )


def test_what_an_older_store_does_not_say_is_left_out(read: Callable[[str], Findings]) -> None:
    found = read("three")
    facts = {"data": {"name": "old"}, "start_weights": []}
    text = text_of(replace(found, facts=facts))
    assert text.startswith("The target images were old.")
    assert "Made with" not in text
    assert "The machine" not in text
    assert "The start weights were" not in text
    assert "numbers of images" not in text


def test_several_rates_and_starts_are_told_of(read: Callable[[str], Findings], folder: Path) -> None:
    assert read("two").rate == CHOSEN
    text = text_of(read("two"))
    assert "The learning rates 10⁻⁴ and 10⁻³ were tried, and one was chosen for each strategy" in text
    assert "Tables rest on 12 trainings, chosen from 24 with every learning rate." in text
    assert "With two folds there is no test and no interval" in text
    searched = replace(read("two"), text="rate_search: {low: 1e-5, high: 2e-3, draws: 6, search: optuna}")
    assert "Six learning rates between 10⁻⁵ and 2 × 10⁻³ were tried by Optuna's sampler" in text_of(searched)
    assert "The start weights were tested on the same folds as they are" in text_of(read("starts"))


def test_the_hash_of_the_test_sets_depends_on_who_is_in_them_and_on_nothing_else(
    read: Callable[[str], Findings], folder: Path
) -> None:
    found = read_findings(Store.at(folder / "r"), "three")
    before = hash_of_test_sets(found)
    assert hashes(found)["test sets"] == before
    assert set(hashes(found)) == {"images and masks", "start weights natural-like images", "test sets"}
    found.__dict__["images"] = found.images.sample(frac=1, random_state=0)
    assert hash_of_test_sets(found) == before
    found.__dict__["images"] = found.images[found.images["strategy"] == "contracting"]
    assert hash_of_test_sets(found) == before
    found.__dict__["images"] = found.images.assign(index=found.images["index"] + 1)
    assert hash_of_test_sets(found) != before
    assert hash_of_test_sets(read("begun")) == ""
