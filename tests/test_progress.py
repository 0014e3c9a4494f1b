"""What a run says of itself."""

from dataclasses import replace
from typing import Any

import pytest

from engine.progress import Progress, expected_work
from tests.made import trial


def test_counts_and_eta_follow_the_trials() -> None:
    said: list[dict[str, Any]] = []
    now = [0.0]
    progress = Progress(listen=lambda told: said.append(dict(told)), clock=lambda: now[0])
    progress.prepare(0.5, "start weights: batch 50 of 100")
    assert (said[-1]["state"], said[-1]["fraction"]) == ("preparing", 0.5)
    trials = [trial(fold=fold) for fold in range(4)]
    progress.begin(trials, {trials[0].id})
    assert (said[-1]["trials"], said[-1]["closed"], said[-1]["eta_seconds"]) == (4, 1, None)
    progress.epoch(trials[1], 0, None)
    now[0] = 10.0
    progress.end(trials[1], "completed")
    assert said[-1]["closed"] == 2
    assert said[-1]["eta_seconds"] == 20.0  # one of three done in 10 s
    progress.epoch(trials[2], 3, 0.8)  # all its three epochs
    assert said[-1]["eta_seconds"] == 5.0
    assert said[-1]["running"][0]["validation"] == 0.8
    progress.end(trials[2], "error")
    assert (said[-1]["closed"], said[-1]["failed"]) == (2, 1)
    progress.finish("finished")
    assert (said[-1]["state"], said[-1]["eta_seconds"], said[-1]["running"]) == ("finished", None, [])


def test_what_is_left_goes_on_at_the_pace_of_its_own_strategy() -> None:
    now = [0.0]
    progress = Progress(listen=lambda told: None, clock=lambda: now[0], at_once=2)
    slow = [trial("whole network", fold=fold) for fold in range(3)]
    quick = [trial("block 9", fold=fold) for fold in range(3)]
    progress.begin([*quick, *slow], set())
    progress.epoch(quick[0], 0, None)
    assert progress.eta_seconds() is None
    now[0] = 1.0
    progress.end(quick[0], "completed")
    unseen = 1.0 / expected_work(quick[0]) * expected_work(slow[0])
    assert progress.eta_seconds() == pytest.approx((2 * 1.0 + 3 * unseen) / 2)
    progress.epoch(slow[0], 0, None)
    now[0] = 61.0
    progress.end(slow[0], "completed")
    assert progress.eta_seconds() == pytest.approx((2 * 1.0 + 2 * 60.0) / 2)
    progress.epoch(slow[1], 0, None)
    progress.epoch(quick[1], 0, None)
    now[0] = 62.0
    progress.end(quick[1], "error")  # says nothing of the time that others need
    now[0] = 81.0
    progress.epoch(slow[1], 1, None)  # a third
    assert progress.eta_seconds() == pytest.approx(60.0)  # 1 + 40 beside it
    progress.end(slow[2], "cancelled")
    assert progress.eta_seconds() == pytest.approx(40.0)


def test_trials_that_are_stopped_and_taken_in_again_are_counted_apart() -> None:
    said: list[dict[str, Any]] = []
    progress = Progress(listen=lambda told: said.append(dict(told)), clock=lambda: 1.0, caveats=("mind",))
    trials = [trial(fold=fold) for fold in range(5)]
    progress.begin(trials, {trials[0].id}, cancelled={trials[1].id}, stopped_early={trials[2].id})
    progress.end(trials[3], "cancelled")
    progress.end(trials[4], "stopped_early")
    assert [said[-1][key] for key in ("closed", "failed", "cancelled", "stopped_early")] == [1, 0, 2, 2]
    assert said[-1]["caveats"] == ["mind"]
    progress.again(trials[1], "cancelled")
    assert said[-1]["cancelled"] == 1
    progress.end(trials[1], "completed")
    assert (said[-1]["closed"], said[-1]["trials"]) == (2, 5)


def test_the_last_blocks_are_expected_to_be_cheaper() -> None:
    assert expected_work(trial("block 9")) < expected_work(trial("expanding")) < expected_work(trial("whole network"))


def test_a_classifier_is_expected_to_be_cheaper_the_deeper_it_learns_and_where_its_views_are_kept() -> None:
    output, whole = (trial(model="vgg16", units=units) for units in (("fc8",), ("conv1_1", "fc8")))
    assert expected_work(output) < expected_work(whole)
    assert expected_work(replace(output, crops_kept=8)) < expected_work(output)
    assert expected_work(replace(whole, crops_kept=8)) == expected_work(whole)
