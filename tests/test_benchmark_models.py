"""What benchmarks add up where nothing can be run: a study on many GPUs, and Cheng and Malhi's training."""

from dataclasses import replace

import pytest

from benchmarks.frozen_convolutions import STUDIES, TEST, TRAINING, minutes
from benchmarks.scaling import Terms, before, most_gpus, seconds_of
from engine import config

TERMS = Terms(
    start=10.0, trial=90.0, at_once=4, driver=0.05, row=0.0, row_bytes=1e6, node_bytes=100e6, link=100e6
)  # fmt: skip


def test_trials_take_their_turns_until_the_driver_is_slower() -> None:
    assert seconds_of(TERMS, 10_000, 1)["GPUs"] == 2500 * 90
    assert seconds_of(TERMS, 10_000, 10)["GPUs"] == 250 * 90
    assert seconds_of(TERMS, 10_000, 1000)["GPUs"] == 3 * 90  # the third turn is half empty
    assert seconds_of(TERMS, 10_000, 1000)["driver"] == 500
    assert seconds_of(TERMS, 10_000, 1000)["store's link"] == 100
    gpus = most_gpus(TERMS)
    assert gpus == 450
    at_most = seconds_of(TERMS, 18_000, int(gpus))
    assert at_most["GPUs"] == at_most["driver"]


def test_every_further_node_waits_for_images_and_start_weights() -> None:
    assert before(TERMS, 8) == 10
    assert before(TERMS, 9) == 11
    assert before(replace(TERMS, node_bytes=200e6), 1000) == 10 + 124 * 2


@pytest.mark.parametrize(("name", "steps", "size", "looked"), [("vgg16", 8000, 32, 80), ("caffenet", 1000, 256, 10)])
def test_the_papers_epochs_are_added_up_from_their_parts(name: str, steps: int, size: int, looked: int) -> None:
    study = config.load(STUDIES[name])
    kept = minutes(study, conv=60.0, step=0.0, evaluation=0.0, anew=False)
    anew = minutes(study, conv=60.0, step=60.0, evaluation=60.0, anew=True)
    assert kept["views"] == 8 * TRAINING
    assert kept["all"] == kept["views"] + TRAINING + 2 * TEST
    assert anew["views"] == steps * size  # 62.5 epochs
    assert anew["steps"] == steps
    assert anew["evaluation"] == looked * TEST + 2 * TRAINING + 2 * TEST
