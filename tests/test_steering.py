"""What people ask of a run: written down, found again, and followed where there is no run."""

from dataclasses import asdict
from pathlib import Path

import pytest

from engine import steering
from engine.errors import StoreError
from engine.progress import Progress
from engine.search.endings import crashed, cut_short, epoch_of
from engine.search.following import Follower
from engine.search.line import Line
from engine.steering import StopAsked
from engine.store import Lease, Store
from engine.trial import Epoch, Trial
from tests.made import attempt, trial
from tests.made_commands import begun, here

TRIALS = [trial("contracting", fold=fold) for fold in (0, 1, 2, 3)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A study of four trials: one is completed, one crashed, one was stopped by hand, one waits."""
    kept = begun(tmp_path, TRIALS)
    kept.append("s", attempt(TRIALS[0]))
    kept.append("s", attempt(TRIALS[1], state="error", error="no"))
    kept.append("s", attempt(TRIALS[2], state="cancelled"))
    return kept


def states(store: Store) -> list[str]:
    return list(steering.trial_states(store, "s")["state"])


def settled(store: Store, *, early: bool = False) -> set[str]:
    return steering.settled(store.attempts("s"), steering.requests(store, "s"), early=early)


def test_each_trial_has_a_state_and_is_found_by_the_first_letters_of_its_id(store: Store) -> None:
    assert states(store) == ["completed", "error", "cancelled", "waiting"]
    table = steering.trial_states(store, "s")
    assert steering.find_trial(table, "s", TRIALS[3].id[:9].upper()) == TRIALS[3].id
    for text, words in (("ab", "too short"), ("zzzzzz", "'s' has no trial 'zzzzzz'; whichlayers trials s lists them")):
        with pytest.raises(StoreError, match=words):
            steering.find_trial(table, "s", text)
    with pytest.raises(StoreError, match="no study 't'"):
        steering.trial_states(store, "t")


def test_a_trial_stopped_by_hand_is_left_alone_until_somebody_wants_it_again(store: Store) -> None:
    assert settled(store) == {TRIALS[0].id, TRIALS[2].id}
    assert steering.retry(store, "s") == [TRIALS[1].id, TRIALS[2].id]
    assert settled(store) == {TRIALS[0].id}
    assert states(store) == ["completed", "waiting", "waiting", "waiting"]
    # A retry that was tried is over; one that was not stays, also when the run was killed meanwhile.
    store.append("s", attempt(TRIALS[2], state="cancelled", number=2))
    assert settled(store) == {TRIALS[0].id, TRIALS[2].id}
    steering.forget_old(store, "s")
    assert len(steering.requests(store, "s")) == 1
    store.append("s", attempt(TRIALS[1], number=2))
    steering.forget_old(store, "s")
    assert steering.requests(store, "s") == []


def test_what_a_scheduler_stopped_is_left_alone_only_under_a_scheduler(store: Store) -> None:
    store.append("s", attempt(TRIALS[3], state="stopped_early"))
    assert TRIALS[3].id in settled(store, early=True)
    assert TRIALS[3].id not in settled(store)
    with pytest.raises(StoreError, match=r"is stopped_early; run it to its end with .search: \{scheduler: fifo\}."):
        steering.retry(store, "s", TRIALS[3].id)


def test_what_cannot_be_asked_is_told_in_one_line(store: Store) -> None:
    with pytest.raises(StoreError, match="'s' is not running; there is nothing to stop"):
        steering.stop(store, "s")
    with pytest.raises(StoreError, match="is completed already"):
        steering.cancel(store, "s", TRIALS[0].id)
    with pytest.raises(StoreError, match="is cancelled already"):
        steering.cancel(store, "s", TRIALS[2].id)
    with pytest.raises(StoreError, match="is waiting; only crashed trials"):
        steering.retry(store, "s", TRIALS[3].id)
    with pytest.raises(StoreError, match="0 trials at once asked for"):
        steering.workers(store, "s", 0)
    store.write_progress("s", {"state": "running", "room": 2, "at_once": 2, "running": []})
    with Lease(store.files, "s"), pytest.raises(StoreError, match="has room for 2"):
        steering.workers(store, "s", 3)
    assert steering.requests(store, "s") == []


def test_files_that_are_no_requests_are_left_out(store: Store) -> None:
    for name, content in (
        ("a.json", b"{"),
        ("b.json", b'{"what": "stop", "no": 1}'),
        ("c.txt", b""),
        ("d.json", b"[]"),
    ):
        store.files.write(f"s/requests/{name}", content)
    assert steering.requests(store, "s") == []


def follower(store: Store, open_trials: list[Trial]) -> Follower:
    progress = Progress(listen=lambda said: None)
    done = {TRIALS[0].id: "completed", TRIALS[1].id: "error", TRIALS[2].id: "cancelled"}
    progress.begin(TRIALS, {TRIALS[0].id}, cancelled={TRIALS[2].id})
    progress.failed = 1
    made = Follower(store, "s", progress, 2, 2)
    made.know(TRIALS)
    made.open(open_trials, done)
    return made


def test_a_run_follows_what_was_asked_before_it_began(store: Store) -> None:
    steering.cancel(store, "s", TRIALS[3].id)
    steering.workers(store, "s", 1)
    steering.workers(store, "s", 5)  # the last word counts, and there is room for two
    there = follower(store, [TRIALS[3]])
    there.look()
    assert (there.at_once, there.progress.at_once, there.left_out) == (2, 2, {TRIALS[3].id})
    assert states(store)[3] == "cancelled"
    assert steering.requests(store, "s") == []
    assert there.progress.cancelled == 2


def test_a_run_at_work_takes_trials_in_and_leaves_them_out(store: Store) -> None:
    there = follower(store, [TRIALS[3]])
    there.line = Line([TRIALS[3]], 1)
    steering.retry(store, "s")
    steering.cancel(store, "s", TRIALS[3].id)
    there.look()
    assert [one.id for one in there.line.waiting] == [TRIALS[1].id, TRIALS[2].id]
    assert (there.progress.failed, there.progress.cancelled) == (0, 1)  # one that waited, and none of those before
    # One that is being trained is left to its worker, and the request goes when it has ended.
    config = there.line.suggest("tune-1")
    assert isinstance(config, dict)
    assert config["trial"]["fold"] == 1
    assert there.line.suggest("tune-2") is None  # one at once
    store.write_progress("s", {"state": "running", "running": [{"id": TRIALS[1].id}], "room": 2})
    with Lease(store.files, "s"):
        assert states(store)[1] == "running"
        steering.cancel(store, "s", TRIALS[1].id)
        steering.stop(store, "s")
    there.look(now=True)
    assert there.stopping  # Tune ends its trials
    assert [request.what for request in steering.requests(store, "s")] == ["retry", "cancel"]
    assert steering.is_cancelled(store, "s", TRIALS[1].id)
    there.ended(TRIALS[1], "cancelled")
    assert [request.what for request in steering.requests(store, "s")] == ["retry"]
    there.line.on_trial_complete("tune-1")
    assert isinstance(there.line.suggest("tune-3"), dict)
    assert there.line.suggest("tune-4") is None
    there.line.on_trial_complete("tune-3")
    assert there.line.suggest("tune-5") == Line.FINISHED


def test_a_run_that_has_no_trials_yet_stops_at_once(store: Store) -> None:
    with Lease(store.files, "s"):
        steering.stop(store, "s")
    with pytest.raises(StopAsked):
        follower(store, []).look()


def test_an_order_to_stop_is_not_followed_by_a_later_run(store: Store) -> None:
    with Lease(store.files, "s"):
        steering.stop(store, "s")
    steering.forget_old(store, "s")
    assert steering.requests(store, "s") == []


def test_attempts_that_were_stopped_keep_their_epochs() -> None:
    from datetime import UTC, datetime

    epochs = [
        Epoch(epoch=n, training_loss=1.0, validation_loss=loss, validation_dice=0.1 * n, seconds=0.5)
        for n, loss in enumerate((0.5, 0.3, float("nan"), 0.4), start=1)
    ]
    assert [epoch_of(asdict(epoch)) for epoch in epochs[:2]] == epochs[:2]
    cut = cut_short(TRIALS[0], 2, "stopped_early", datetime.now(UTC), 2.0, epochs)
    assert (cut.state, cut.best_epoch, cut.validation_dice, cut.epochs_run, cut.dice) == (
        "stopped_early",
        2,
        0.2,
        4,
        None,
    )
    assert cut_short(TRIALS[0], 1, "cancelled", datetime.now(UTC), 0.0).best_epoch is None
    assert crashed(TRIALS[0], 1, datetime.now(UTC), 0.0, "why").error == "why"


def test_the_commands_say_what_they_did(tmp_path: Path, store: Store) -> None:
    place = ("--store", str(tmp_path))
    short = TRIALS[3].id[:8]
    said = here("skip", "s", "--trial", short, *place, folder=tmp_path)
    assert f"s: trial {TRIALS[3].id[:12]} is left out" in said.stdout
    assert "the next run follows this" in said.stdout
    assert "2 trials to run again" in here("retry", "s", *place, folder=tmp_path).stdout
    assert "1 trial at once" in here("workers", "s", "1", *place, folder=tmp_path).stdout
    said = here("trials", "s", "--state", "completed", *place, folder=tmp_path)
    assert said.stdout.startswith(f"{TRIALS[0].id[:12]}  completed     contracting, 80 %, fold 0, rate 0.001, seed 0")
    assert '"state":"waiting"' in here("trials", "s", "--json", *place, folder=tmp_path).stdout
    said = here("stop", "s", *place, folder=tmp_path)
    assert (said.returncode, said.stderr.splitlines()) == (2, ["study 's' is not running; there is nothing to stop"])
    store.write_progress("s", {"state": "running", "trials": 4, "closed": 1, "cancelled": 1, "running": []})
    assert here("watch", "s", *place, folder=tmp_path).stdout == "s: interrupted, 1/4 trials, 1 stopped by hand\n"
    assert "did you mean 's'?" in here("watch", "S", *place, folder=tmp_path).stderr
