"""Which combinations a study draws, and what is said of searches that end trials."""

from collections import Counter
from dataclasses import replace

from engine import config
from engine import study as planning
from engine.combinations import caveats
from engine.hardware import Share
from engine.study_settings import DataSettings, FoldSettings, RateSearch, SearchSettings, Study
from engine.trial import Trial
from tests.made import discs

SHARE = Share(device="cpu", cpu=1, gpu=0.0, threads=1, precision="float32", at_once=2)
STUDY = Study(
    name="s",
    data=DataSettings(kind="simulated", images=20),
    strategies=("contracting", "expanding", "block 9", "from scratch"),
    fractions=(80.0, 40.0),
    learning_rates=(1e-4, 1e-3, 1e-2),
    folds=FoldSettings(of=5, run=(0, 1)),
    seeds=(0, 1),
)
COMBINATIONS = 4 * 2 * 3 * 2


def planned(study: Study) -> list[Trial]:
    """The trials that are tuned."""
    start = {"natural-like images": planning.StartFacts(sha256="1" * 64)}
    return [trial for trial in planning.plan(study, discs(20), start, SHARE) if trial.units]


def drawn(draws: int, **changes: object) -> list[Trial]:
    return planned(replace(STUDY, search=SearchSettings(kind="random", draws=draws), **changes))


def test_a_grid_is_every_combination_and_a_draw_a_part_of_it_with_all_folds() -> None:
    grid = planned(STUDY)
    assert len(grid) == COMBINATIONS * 2
    some = drawn(7)
    assert len(some) == 7 * 2
    assert {trial.id for trial in some} < {trial.id for trial in grid}
    assert [trial.id for trial in some] == [trial.id for trial in grid if trial.id in {one.id for one in some}]
    folds = Counter((t.strategy, t.fraction, t.learning_rate, t.seed) for t in some)
    assert set(folds.values()) == {2}
    assert len({(t.strategy, t.fraction) for t in some}) > 2


def test_more_draws_keep_the_earlier_ones_and_another_seed_draws_others() -> None:
    few, more = ({trial.id for trial in drawn(draws)} for draws in (5, 11))
    assert few < more
    assert len(drawn(1000)) == COMBINATIONS * 2
    other = planned(replace(STUDY, search=SearchSettings(kind="random", draws=5, seed=1)))
    assert {trial.id for trial in other} != few


def test_a_drawn_cell_says_how_many_rates_it_will_have() -> None:
    trials = drawn(9)
    rates = Counter((t.strategy, t.fraction, t.seed, t.fold) for t in trials)
    assert {t.draws for t in trials} == set(rates.values())
    assert all(t.draws == rates[t.strategy, t.fraction, t.seed, t.fold] for t in trials)
    search = RateSearch(draws=5, search="random")
    searched = drawn(3, learning_rates=(1e-4,), rate_search=search)
    assert len(searched) == 3 * 5 * 2  # a drawn combination is searched whole
    assert {t.draws for t in searched} == {5}


def test_ids_do_not_know_how_trials_are_scheduled_and_the_caveat_is_said() -> None:
    asha = replace(STUDY, search=SearchSettings(scheduler="asha"))
    assert [trial.id for trial in planned(asha)] == [trial.id for trial in planned(STUDY)]
    assert caveats(STUDY) == []
    (said,) = caveats(asha)
    assert said.startswith("ASHA ends trials that are behind others of the same fraction and fold on validation images")
    assert "do not enter Table II" in said
    both = SearchSettings(kind="random", draws=2, scheduler="median")
    assert [line.split()[0] for line in caveats(replace(STUDY, search=both))] == ["Median", "Random"]


def test_a_study_file_says_the_search() -> None:
    text = "search: {kind: random, draws: 20, scheduler: asha}\ndata: {kind: simulated}\n"
    study = config.loads(text, "s.yaml")
    assert study.search == SearchSettings(kind="random", draws=20, scheduler="asha")
    assert config.loads(config.dump(study), "s.yaml") == study
