"""What `whichlayers results` tells of a study."""

from dataclasses import replace
from pathlib import Path

import pytest

from dashboard.report.findings import read_findings
from engine.store import Store
from tests.made import attempt, trial
from tests.made_commands import begun, both, in_fold, printed, whichlayers
from whichlayers.report import differences, false_positives, run_state


def test_results_of_a_study_that_is_being_prepared_say_so(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "results")
    store.begin("s", "name: s")
    assert printed(store).startswith("s: nothing is planned yet")
    said = whichlayers("results", "s", "--csv", folder=tmp_path)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("s: nothing is planned yet")
    assert len(said.stderr.splitlines()) == 1


def test_a_strategy_that_never_converged_is_compared_with_nothing(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        store.append("s", attempt(one, state="not_converged" if one.strategy == "expanding" else "completed"))
    said = printed(store)
    assert "2 of 2 failed" in said
    assert "contracting minus expanding" not in said


def test_strategies_that_converged_in_different_folds_have_no_difference(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        good = (one.strategy == "contracting") == (one.fold == 0)
        store.append("s", attempt(one, state="completed" if good else "not_converged"))
    said = printed(store)
    assert "no test image with a structure that both were measured on" in said
    assert "nan" not in said


def test_images_without_a_structure_are_no_part_of_a_paired_difference(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        made = in_fold(one, dice=0.8 if one.strategy == "contracting" else 0.7)
        normal = replace(made.test_images[0], index=9 + 10 * one.fold, dice=1.0, empty_truth=True)
        store.append("s", replace(made, test_images=(*made.test_images, normal)))
    found = differences(read_findings(store, "s").rows[0], "contracting", "expanding")
    assert found is not None
    assert found[1].mean_difference == pytest.approx(0.1)
    assert found[1].images == 8


def test_images_without_any_structure_give_no_difference(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        made = attempt(one)
        store.append("s", replace(made, test_images=tuple(replace(i, empty_truth=True) for i in made.test_images)))
    assert differences(read_findings(store, "s").rows[0], "contracting", "expanding") is None


def test_the_false_positive_rate_is_that_of_all_normal_images_of_a_finished_cell(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        if one.strategy == "contracting":
            seen = {0: (0.5, 10), 1: (0.2, 30)}[one.fold]
            store.append("s", attempt(one, false_positive_rate=seen[0], normal_images=seen[1]))
        elif one.fold == 0:  # its other fold is missing: the cell shows nothing of its test images
            store.append("s", attempt(one, false_positive_rate=1.0, normal_images=10))
    rates = false_positives(read_findings(store, "s").cells)
    assert list(rates["strategy"]) == ["contracting"]
    assert rates["false_positive_rate"].item() == pytest.approx((0.5 + 0.2) / 2)
    said = printed(store)
    assert "False positives" in said
    assert "35 % (40 images)" in said


def test_without_normal_images_there_is_no_false_positive_rate(tmp_path: Path) -> None:
    store = begun(tmp_path, both())
    for one in both():
        store.append("s", attempt(one))
    assert false_positives(read_findings(store, "s").cells).empty
    assert "False positives" not in printed(store)


@pytest.mark.parametrize(
    ("state", "alive", "shown"),
    [
        ("running", False, "interrupted"),
        ("preparing", False, "interrupted"),
        ("running", True, "running"),
        ("stopped", False, "stopped"),
        ("finished", False, "finished"),
    ],
)
def test_a_run_that_is_gone_is_not_running(state: str, alive: bool, shown: str) -> None:
    assert run_state({"state": state, "alive": alive}) == shown


def test_the_list_of_studies_says_that_a_killed_run_was_interrupted(tmp_path: Path) -> None:
    begun(tmp_path / "results", both()).write_progress("s", {"state": "running", "closed": 1, "trials": 4})
    assert whichlayers("results", folder=tmp_path).stdout == "s: interrupted, 1/4 trials\n"


def test_results_prints_the_table_and_the_paired_differences(tmp_path: Path) -> None:
    trials = both()
    store = begun(tmp_path / "results", trials)
    for one in trials:
        store.append("s", in_fold(one, dice=0.8 if one.strategy == "contracting" else 0.7))
    said = whichlayers("results", "s", folder=tmp_path).stdout
    assert "0.800 (0.000)" in said
    assert "contracting minus expanding: +0.100" in said
    assert "fold 0: +0.100, fold 1: +0.100" in said
    assert "no test and no interval" in said
    assert whichlayers("results", folder=tmp_path).stdout.startswith("s: ")
    assert whichlayers("results", "s", "--csv", folder=tmp_path).stdout.startswith("source,study,dataset,start")


def test_results_says_what_was_cut_and_what_collapsed(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "results")
    trials = [trial("contracting", fold=fold) for fold in (0, 1)]
    store.begin("s", "name: s")
    facts = {"question": "Which?", "data": {"name": "D", "provenance": "made"}, "start_weights": None}
    store.write_plan("s", trials, facts)
    for one in trials:
        store.append("s", attempt(one, cut_at=3, collapsed=one.fold == 1))
    said = whichlayers("results", "s", folder=tmp_path).stdout
    assert "cut at 3 in 2 folds (1 of 1 cells)" in said
    assert "contracting 80 %: 1 collapsed" in said
