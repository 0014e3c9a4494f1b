"""Relative gradient norms by hand, and the strategy `auto`: every unit learns, at a rate that its gradients decide."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load
from torch import Tensor, nn

from engine import permission
from engine.architectures import STRATEGIES, parse_strategy, strategy_table
from engine.gradient_norms import gradient_norms, relative_gradient_norms, set_unit_rates
from engine.models import UNet
from engine.optimiser import Group, Optimiser
from engine.ranking import GradientNorms, normalised
from engine.search import running
from engine.steering import trial_states
from engine.store import Store
from engine.strategies import freeze_all_but
from engine.study_settings import (
    DataSettings,
    FoldSettings,
    ModelSettings,
    ResourceSettings,
    StartSettings,
    Study,
    TrainingSettings,
)
from engine.training import run_trial
from engine.trial import Attempt, Trial
from tests.made import discs, trial


class TwoNumbers(nn.Module):
    """y = b a x: two units of one parameter each, whose gradients can be written down."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            self.first.weight.fill_(a)
            self.second.weight.fill_(b)

    def units(self) -> dict[str, list[nn.Module]]:
        return {"first": [self.first], "second": [self.second]}

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(self.first(x))
        return found


def losses(network: TwoNumbers, scale: float = 1.0) -> Iterator[Tensor]:
    """Half the squared error from 0, of x = 1 and of x = 2."""
    for x in (1.0, 2.0):
        yield scale * network(torch.tensor([[x]])).square().sum() / 2


def test_the_norms_are_those_computed_by_hand() -> None:
    # y = 3 * 2 x = 6x; d/da = y b x = 18 x^2, d/db = y a x = 12 x^2: for x = 1 and 2 the means are 45 and 30.
    network = TwoNumbers(2.0, 3.0)
    found = relative_gradient_norms(network, ("first", "second"), losses(network))
    assert found == pytest.approx({"first": 45 / 2, "second": 30 / 3})
    assert normalised(found) == pytest.approx({"first": 1.0, "second": 4 / 9})


def test_units_taken_together_have_the_norm_of_both() -> None:
    network = TwoNumbers(2.0, 3.0)
    found = gradient_norms(network, ("first", "second"), losses(network))
    # sqrt(18^2 + 12^2) (1 + 4) / 2 / sqrt(2^2 + 3^2) = 6 sqrt(13) * 2.5 / sqrt(13)
    assert found.relative(("first", "second")) == pytest.approx(15.0)
    assert found.parameters == (1, 1)


def test_a_larger_loss_changes_no_normalised_norm() -> None:
    network = TwoNumbers(2.0, 3.0)
    once, often = (
        relative_gradient_norms(network, ("first", "second"), losses(network, scale)) for scale in (1.0, 1000.0)
    )
    assert often == pytest.approx({unit: 1000 * norm for unit, norm in once.items()})
    assert normalised(often) == pytest.approx(normalised(once))


def test_a_frozen_first_unit_changes_nothing_of_the_second_and_has_no_gradient_itself() -> None:
    network = TwoNumbers(2.0, 3.0)
    free = relative_gradient_norms(network, ("first", "second"), losses(network))
    freeze_all_but(network, ("second",))
    frozen = relative_gradient_norms(network, ("first", "second"), losses(network))
    assert frozen == {"first": 0.0, "second": free["second"]}


@pytest.mark.parametrize("norms", [{"a": 0.0, "b": 0.0}, {"a": float("nan"), "b": 1.0}, {"a": float("inf"), "b": 1.0}])
def test_norms_that_say_nothing_leave_all_rates_as_they_are(norms: dict[str, float]) -> None:
    assert normalised(norms) == {"a": 1.0, "b": 1.0}


def test_a_unit_whose_parameters_are_all_zero_has_no_relative_norm() -> None:
    nothing = GradientNorms(units=("a",), parameters=(1,), squared_parameters=(0.0,), squared_gradients=((1.0,),))
    assert nothing.by_unit == {"a": 0.0}


def test_measuring_changes_neither_weights_nor_statistics_nor_the_stream_of_random_numbers() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    own = Named(network)
    before, state = torch.get_rng_state(), {name: one.clone() for name, one in network.state_dict().items()}
    gradient_norms(own, ("all",), (own(torch.ones(4, 3) * number).square().sum() for number in range(2)))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one, state[name]) for name, one in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


class Named(nn.Module):
    """A network in one unit."""

    def __init__(self, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.inner = inner or nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(4, 1, 1)
        )

    def units(self) -> dict[str, list[nn.Module]]:
        return {"all": [self.inner]}

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.inner(images)
        return found


def build() -> Named:
    """For `model: tests.test_auto_strategy:build`."""
    return Named()


def numbers(attempt: Attempt) -> list[object]:
    """What must be equal between two equal trainings: all but wall time."""
    return [attempt.dice, attempt.best_epoch, [replace(epoch, seconds=0.0) for epoch in attempt.epochs]]


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_unit_that_is_alone_has_the_whole_networks_numbers_to_the_bit(
    optimiser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(permission.VARIABLE, "tests.test_auto_strategy:build")
    # Its own norm is the largest, so that its rate is the whole network's: batches and dropout must be too.
    plain = trial(
        units=("all",), model="tests.test_auto_strategy:build", start_weights=None, optimiser=optimiser, max_epochs=4
    )
    auto = replace(plain, strategy="auto", method="auto rates")
    (first, weights), (second, others) = run_trial(plain, discs(), None), run_trial(auto, discs(), None)
    assert numbers(second) == numbers(first)
    assert others == weights


def test_units_of_one_rate_in_groups_of_their_own_step_as_in_one_group() -> None:
    network, twin = TwoNumbers(2.0, 3.0), TwoNumbers(2.0, 3.0)
    together = Optimiser([Group(weights=list(network.parameters()), rate=0.1)])
    apart = Optimiser(
        [
            Group(weights=[twin.first.weight], rate=0.1, unit="first"),
            Group(weights=[twin.second.weight], rate=0.1, unit="second"),
        ]
    )
    for own, optimiser in ((network, together), (twin, apart)):
        for _ in range(3):
            if optimiser is apart:
                set_unit_rates(apart, {"first": 7.0, "second": 7.0})
            optimiser.forget_gradients()
            torch.autograd.backward(next(losses(own)))
            optimiser.step()
    assert all(torch.equal(one, other) for one, other in zip(network.parameters(), twin.parameters(), strict=True))


def test_rates_are_set_from_the_first_one_however_often() -> None:
    network = TwoNumbers(2.0, 3.0)
    optimiser = Optimiser(
        [
            Group(weights=[network.first.weight], rate=0.1, unit="first"),
            Group(weights=[network.second.weight], rate=0.1, unit="second"),
        ]
    )
    for norms in ({"first": 1.0, "second": 4.0}, {"first": 2.0, "second": 1.0}):
        set_unit_rates(optimiser, norms)
    assert [group.rate for group in optimiser.groups] == [0.1, 0.05]


@pytest.fixture(scope="module")
def start() -> dict[str, Tensor]:
    """Start weights of a width-2 U-Net."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return dict(UNet(2).state_dict())


def auto_trial() -> Trial:
    """The strategy `auto` on `discs()`."""
    return trial("auto", method="auto rates", max_epochs=3)


def test_auto_trains_all_units_at_other_rates_than_the_whole_network_and_twice_alike(start: dict[str, Tensor]) -> None:
    first, weights = run_trial(auto_trial(), discs(), start)
    second, again = run_trial(auto_trial(), discs(), start)
    whole, others = run_trial(trial(max_epochs=3), discs(), start)
    assert numbers(second) == numbers(first)
    assert weights == again
    assert numbers(whole) != numbers(first)
    assert first.trainable_parameters == first.total_parameters == whole.trainable_parameters
    assert load(weights).keys() == load(others).keys()


def test_the_method_is_in_the_id_and_other_ids_stay_as_they_were() -> None:
    assert auto_trial().id != trial(max_epochs=3).id
    # The id of a trial of before there was `auto`: python -c "from tests.made import trial; print(trial().id)"
    assert trial().id == "ac3e2fea1eeb571fad62482ed8ddbcd6855f5298ea83455af54c7cc991e2d6d8"


@pytest.mark.parametrize("model", ["unet", "caffenet", "vgg16", "mobilenet", "cvcnet"])
def test_every_network_has_auto_beside_the_papers_strategies(model: str) -> None:
    auto, whole = parse_strategy("Auto", model), parse_strategy("whole network", model)
    assert (auto.name, auto.method, auto.units) == ("auto", "auto rates", whole.units)
    assert "auto" not in STRATEGIES[model]
    rows = {row["strategy"]: row["trainable_parameters"] for row in strategy_table(model)}
    assert rows["auto"] == rows["whole network"]


def test_a_users_own_network_has_auto_too() -> None:
    assert parse_strategy("auto", "package:build", ("stem", "head")).units == ("stem", "head")


@pytest.mark.ray
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("default")
def test_a_study_with_auto_runs_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    study = Study(
        name="auto",
        model=ModelSettings(width=2, image_size=32),
        data=DataSettings(kind="simulated", images=15),
        start_weights=(StartSettings(images=20, batches=4),),
        strategies=("whole network", "auto"),
        fractions=(80.0,),
        folds=FoldSettings(of=5, run=(0,)),
        training=TrainingSettings(max_epochs=2, batches_per_epoch=2),
        resources=ResourceSettings(gpu=0.0),
    )
    store = Store.at(tmp_path / "store")
    assert running.run(study, store, tmp_path / "cache")["closed"] == 3
    first = store.attempts("auto").set_index("id")
    assert running.run(replace(study, folds=FoldSettings(of=5, run=(0, 1))), store, tmp_path / "cache")["closed"] == 6
    second = store.attempts("auto").set_index("id")
    assert (second.loc[first.index, "started"] == first["started"]).all()
    states = trial_states(store, "auto")
    assert set(states.loc[states["strategy"] == "auto", "state"]) == {"completed"}
    assert set(states.loc[states["strategy"] == "auto", "method"]) == {"auto rates"}
