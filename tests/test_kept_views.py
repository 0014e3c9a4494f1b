"""Frozen first units of the U-Net, computed once: the same training, and views that are kept with their dropout."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch

from engine.architectures import UNET_STAGES, unet_hidden_numbers
from engine.models import UNet
from engine.tasks import Segmentation, kept_views, masks
from engine.tasks.kept_views import KeptViews, cut_of, frozen_before, kept_bytes, seen_bytes, views_of
from engine.training import run_trial, split_of
from engine.trial import Attempt, Trial
from tests.made import discs, trial
from tests.precisions import PRECISIONS

PLAIN = {"shift": 0.0, "zoom": 0.0, "flip": False, "learning_rate": 1e-2}
"""A trial without augmentation, that learns fast."""
START = "1" * 64


@pytest.fixture(scope="module")
def start() -> Mapping[str, torch.Tensor]:
    """Start weights of a width-2 network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return dict(UNet(2).state_dict())


def numbers(attempt: Attempt) -> list[object]:
    """All that a training told, but for its time."""
    return [(one.training_loss, one.validation_loss, one.validation_dice) for one in attempt.epochs] + [attempt.dice]


def work(made: Trial) -> tuple[Segmentation, UNet]:
    """The trial's images and a network of its size."""
    data = discs()
    torch.manual_seed(0)
    network: Any = UNet(made.width).to(memory_format=torch.channels_last)
    return Segmentation(made, network, data, split_of(made, data), torch.device("cpu")), network


@pytest.mark.parametrize("stage", UNET_STAGES)
def test_what_a_stage_sees_is_counted_and_gives_the_same_logits(stage: str) -> None:
    torch.manual_seed(0)
    network, images = UNet(3, classes=2).eval(), torch.rand(2, 1, 32, 32)
    with torch.inference_mode():
        hidden = network.hidden_before(images, stage)
        assert sum(part[0].numel() for part in hidden) == unet_hidden_numbers(3, 32, stage)
        assert torch.equal(network.logits_from(hidden, stage), network(images))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("strategy", ["block 9", "expanding", "block 5", "convolution 8", "blocks 3-7"])
def test_images_as_they_are_train_as_without_keeping(
    strategy: str, precision: str, start: Mapping[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trial(strategy, **PLAIN, precision=precision, patience=2, max_epochs=3)
    assert cut_of(made) is not None
    kept, weights = run_trial(made, discs(), start)
    monkeypatch.setattr(masks, "cut_of", lambda one: None)
    monkeypatch.setattr(masks, "frozen_before", lambda one: None)
    plain, plain_weights = run_trial(made, discs(), start)
    assert numbers(kept) == numbers(plain)
    assert weights == plain_weights


def test_frozen_units_see_an_image_once() -> None:
    made = trial("block 9", **PLAIN)
    training, network = work(made)
    seen = list[int]()
    network.block1[0].register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    for batch in islice(training.batches(), 30):
        training.loss(*batch)
    training.validate()
    first = training.validate()
    split = split_of(made, discs())
    batches = -(-len(split.training) // made.batch_size)
    assert sum(seen) == batches * made.batch_size + len(split.validation)
    assert first == training.validate()


def test_kept_views_are_those_that_are_made_anew() -> None:
    made = trial("block 9", crops_kept=3)
    training, network = work(made)
    given = (made, network, training._images, training._truths, training._training)
    kept, anew = (KeptViews(*given, kept=kept) for kept in (True, False))
    assert kept.count == views_of(made) == 3
    rows = [0, 5, 2 * len(training._training) + 1]
    for (found, truth), (other, other_truth) in [(kept.batch(rows), anew.batch(rows))]:
        assert all(torch.equal(one, two) for one, two in zip(found, other, strict=True))
        assert torch.equal(truth, other_truth)


def test_each_view_has_a_dropout_of_its_own() -> None:
    made = trial("blocks 6", crops_kept=2)
    training, network = work(made)
    views = KeptViews(made, network, training._images, training._truths, training._training, kept=True)
    same = [0, 1, len(training._training)]
    factors = views._kept_numbers(same, torch.ones(3, 32, 2, 2))
    assert set(factors.unique().tolist()) == {0.0, 2.0}
    assert abs(factors.mean().item() - 1) < 0.3
    assert not torch.equal(factors[0], factors[1])
    assert not torch.equal(factors[0], factors[2])
    hidden, _ = views.batch(same)
    assert (hidden[-1] == 0)[factors == 0].all()


def test_kept_views_train_and_leave_frozen_units_alone(start: Mapping[str, torch.Tensor]) -> None:
    made = trial("block 9", crops_kept=4, learning_rate=1e-2, max_epochs=20)
    attempt, _ = run_trial(made, discs(), start)
    assert attempt.frozen_hash_before == attempt.frozen_hash_after
    assert attempt.epochs[-1].training_loss < 0.9 * attempt.epochs[0].training_loss
    again, _ = run_trial(made, discs(), start)
    assert numbers(again) == numbers(attempt)
    assert made.id != replace(made, crops_kept=0).id


def test_without_room_nothing_is_kept_and_numbers_stay(
    start: Mapping[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trial("block 9", crops_kept=2)
    kept, _ = run_trial(made, discs(), start)
    made_anew = list[int]()
    whole = kept_views.KeptViews._made
    monkeypatch.setattr(
        kept_views.KeptViews, "_made", lambda self, rows: made_anew.append(len(rows)) or whole(self, rows)
    )
    monkeypatch.setattr(masks, "room_bytes", lambda device: 0)
    assert numbers(run_trial(made, discs(), start)[0]) == numbers(kept)
    assert made_anew == [made.batch_size] * made.max_epochs * made.batches_per_epoch


@pytest.mark.parametrize("precision", PRECISIONS)
def test_bytes_are_those_that_are_taken(precision: str) -> None:
    made = trial("blocks 8,9", crops_kept=3, precision=precision)
    training, network = work(made)
    views = KeptViews(made, network, training._images, training._truths, training._training, kept=True)
    assert views._masks is not None
    taken = sum(part.numel() * part.element_size() for part in (*views._hidden, views._masks))
    assert taken == kept_bytes(made, len(training._training))
    training.validate()
    assert training._once is not None
    seen = sum(part.numel() * part.element_size() for parts in training._once.parts.values() for part in parts)
    assert seen == seen_bytes(made, len(split_of(made, discs()).validation))


def test_what_may_be_kept() -> None:
    assert frozen_before(trial("whole network")) is None
    assert frozen_before(trial("blocks 1,9")) is None
    assert frozen_before(trial("block 9", encoder="resnet18")) is None
    assert frozen_before(trial("block 9", model="own")) is None
    assert cut_of(trial("block 9")) is None, "every step draws its own views"
    assert cut_of(trial("block 9", crops_kept=1)) == "9"
    assert cut_of(trial("block 9", **PLAIN)) == "dropout"
    assert cut_of(trial("block 5", **PLAIN)) == "5a"
    assert kept_bytes(trial("whole network", crops_kept=8), 100) == 0
