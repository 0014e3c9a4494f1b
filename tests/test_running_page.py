"""Running and Layer by layer as Streamlit runs them: what fills while a run is at work, and what gradients foretold."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.views import steer
from engine import steering
from engine.architectures import UNET_UNITS
from engine.live_curves import LiveCurves
from engine.ranking import FoldNorms, GradientNorms, keep
from engine.store import Lease, Store
from engine.trial import Epoch
from tests.made import trial
from tests.made_store import made_progress, made_store

APP = str(Path(__file__).resolve().parents[1] / "dashboard" / "app.py")
RUNNING = {"id": trial().id, "strategy": "whole network", "fraction": 80.0, "fold": 0, "epoch": 1, "max_epochs": 3}
"""A training as progress tells of it."""
BLOCKS = ("block 1", "block 5", "block 9", "whole network")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(tmp_path / "results"))
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(tmp_path / "cache"))
    return made_store(
        tmp_path / "results", tmp_path / "cache", study="made", images=10, fractions=(80,), strategies=BLOCKS,
    )  # fmt: skip


def opened(page: str) -> AppTest:
    found = AppTest.from_file(APP, default_timeout=120)
    found.query_params["open"] = page
    found.query_params["study"] = "made"
    return found.run()


def said(page: AppTest) -> str:
    elements = [*page.caption, *page.markdown, *page.subheader, *page.info]
    return "\n".join(str(element.value) for element in elements)


def test_while_a_run_is_at_work_its_curves_and_the_ranking_so_far_are_shown_and_then_no_more(store: Store) -> None:
    store.write_progress("made", {**made_progress("running", 3, 10), "running": [RUNNING]})
    curves = LiveCurves(store, "made")
    curves.add(
        trial(), Epoch(epoch=1, training_loss=0.5, validation_loss=0.4, validation_dice=0.6, seconds=1.0)
    )  # fmt: skip
    curves.tell()
    with Lease(store.files, "made"):
        page = opened("running")
        assert not page.exception
        assert "Trainings that run" in said(page)
        assert "Ranked by validation images" in said(page)
        assert "This machine: processor" in said(page)
        standing = page.dataframe[0].value
        assert list(standing["rank"]) == [1, 2, 3, 4]
        scores = list(standing["validation Dice"])
        assert scores == sorted(scores, reverse=True)
    store.write_progress("made", made_progress("finished", 10, 10))
    page = opened("running")
    assert not page.exception
    assert "Trainings that run" not in said(page)
    assert "Ranked by validation images" not in said(page)


def ranked(store: Store, **changes: str) -> None:
    """Keeps made norms of the study's start weights, the largest at the output."""
    plan = store.plan("made").dropna(subset=["start_weights"]).iloc[0]
    told = {"data": plan["data"], "start": plan["start"], "start_weights": plan["start_weights"], **changes}
    for fold in range(2):
        norms = GradientNorms(
            units=UNET_UNITS, parameters=(1,) * 10, squared_parameters=(1.0,) * 10,
            squared_gradients=(tuple(float(place + fold) for place in range(10)),),
        )  # fmt: skip
        keep(store, "made", FoldNorms(id=f"{fold}" * 64, fraction=80.0, fold=fold, images=6, norms=norms, **told))


def test_without_a_ranking_the_page_names_the_command_and_with_one_how_far_it_held(store: Store) -> None:
    page = opened("layer-by-layer")
    assert not page.exception
    assert "Not ranked yet" in said(page)
    assert "whichlayers preview" in said(page)
    ranked(store)
    page = opened("layer-by-layer")
    assert not page.exception
    assert "A hint, not a result" in said(page)
    assert "No rank correlation: 3 strategies in both; it takes 4 to compare orders." in said(page)


def test_a_ranking_of_other_start_weights_is_not_shown(store: Store) -> None:
    ranked(store, start_weights="f" * 64)
    assert "Not ranked yet" in said(opened("layer-by-layer"))


def test_auto_can_be_chosen_in_the_form(store: Store) -> None:
    page = opened("launch")
    assert not page.exception
    choices = next(box for box in page.multiselect if "blocks 1,2,8-9" in box.label)
    assert {"whole network", "auto", "gradual unfreezing"} <= set(choices.options)
    assert "Rank the units" in {button.label for button in page.button}


@pytest.fixture
def steered(store: Store, tmp_path: Path) -> tuple[Store, list[str]]:
    """A study that runs, and the ids of its trials: the first waits, the second and third crashed, others are done."""
    made_store(
        tmp_path / "results", tmp_path / "cache", study="made", images=10, fractions=(80,), strategies=("block 2",),
        folds=range(4), finished=lambda place, trial: place > 0,
        changes=lambda place, trial: {"state": "error", "error": "made"} if place < 3 else {},
    )  # fmt: skip
    store.write_progress("made", {**made_progress("running", 4, 3), "at_once": 2, "room": 4})
    return store, list(store.plan("made")["id"])


def press(page: AppTest, label: str) -> None:
    """Presses the button of this label, or that begins so."""
    next(button for button in page.button if button.label.startswith(label)).click().run()
    assert not page.exception
    assert not page.error


def test_every_button_asks_the_run_for_what_it_says(steered: tuple[Store, list[str]]) -> None:
    store, (waiting, crashed, other, _) = steered

    def asked() -> steering.Request:
        (request,) = steering.requests(store, "made")
        steering.followed(store, request)
        return request

    with Lease(store.files, "made"):
        page = opened("running")
        page.number_input(key="at once made").set_value(3).run()
        press(page, "Set")
        assert (asked().what, page.toast[0].value) == ("workers", "Trials that run are not cut off.")
        press(page, "Retry failed trials")
        assert asked().attempts == {crashed: 1, other: 1}
        page.session_state["trial of made"] = waiting
        page.run()
        press(page, f"Stop trial {waiting[:12]}")
        request = asked()
        assert (request.what, request.trial) == ("cancel", waiting)
        page.session_state["trial of made"] = crashed
        page.run()
        press(page, f"Retry trial {crashed[:12]}")
        assert asked().attempts == {crashed: 1}
        press(page, "Stop the study")
        assert asked().what == "stop"


def test_the_chosen_trial_stays_when_the_table_changes(
    steered: tuple[Store, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, (_, crashed, other, _) = steered
    session = {"drawn": {"selection": {"rows": [1]}}}
    with monkeypatch.context() as patched:
        patched.setattr(steer.st, "session_state", session)
        steer._choose("made", "drawn", (crashed, other))
    page = opened("running")
    page.session_state["trial of made"] = session["trial of made"]
    page.run()
    assert f"Chosen: trial {other[:12]}" in said(page)
    steering.retry(store, "made", crashed)
    page.run()
    assert set(page.dataframe[0].value["trial"]) == {other[:12]}
    assert f"Chosen: trial {other[:12]}" in said(page)
