"""What a run says of itself."""

from typing import Any

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
