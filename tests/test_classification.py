"""A classifier, fine-tuned on one fold: crops, frozen layers computed once, accuracy and embeddings."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load

from engine import large_layers
from engine.architectures import UNITS, parse_strategy
from engine.datasets import Dataset, make_dataset
from engine.errors import WeightsError
from engine.evaluation import HeldOut
from engine.models import build
from engine.splits import Split
from engine.strategies import tensor_names
from engine.tasks import Classification
from engine.training import run_trial
from engine.trial import AS_PRETRAINED, Attempt, Trial
from tests.made import trial

CLASSES = ("across", "along", "plain")
SIDE = 40


def stripes(images: int = 36, groups: int = 12, seed: int = 0) -> Dataset:
    """Stripes along, across, or none, on noise: classes that a tiny network tells apart within seconds."""
    random = np.random.default_rng(seed)
    numbers = np.arange(images) % 3
    rows, columns = np.mgrid[:SIDE, :SIDE]
    phase = random.uniform(0, 2 * np.pi, images)
    waves = {0: np.sin(rows / 2 + phase[:, None, None]), 1: np.sin(columns / 2 + phase[:, None, None])}
    pixels = np.stack([120 + 60 * waves.get(number, np.zeros((images, 1, 1)))[i] * np.ones((SIDE, SIDE))
                       for i, number in enumerate(numbers)])  # fmt: skip
    table = pd.DataFrame(
        {
            "image": [f"stripes {place:03d}" for place in range(images)],
            "label": [CLASSES[number] for number in numbers],
            "group": [f"patient {place // 3 % groups:02d}" for place in range(images)],
            "scanner": ["A" if place % 2 else "B" for place in range(images)],
        }
    )
    noisy = np.clip(pixels + random.normal(0, 10, pixels.shape), 0, 255).astype(np.uint8)
    return make_dataset(name="stripes", provenance="stripes made by a test", images=noisy, table=table, classes=CLASSES)


def planned(named: str = "whole network", model: str = "cvcnet", **changes: Any) -> Trial:
    """A small trial on `stripes()`."""
    chosen = parse_strategy(named, model)
    facts: dict[str, Any] = {
        "strategy": chosen.name,
        "units": chosen.units,
        "method": chosen.method,
        "start_weights": None if chosen.start == "random" else "1" * 64,
        "task": "classification",
        "model": model,
        "classes": 3,
        "width": 4,
        "image_size": SIDE,
        "split_by": "group",
        "folds": 4,
        "fraction": 75.0,
        "batch_size": 6,
        "batches_per_epoch": 8,
        "max_epochs": 6,
        "learning_rate": 3e-3,
        "shift": 0.0,
        "zoom": 0.0,
        "flip": False,
    }
    return replace(trial(), **{**facts, **changes})


@pytest.fixture(scope="module")
def start() -> dict[str, torch.Tensor]:
    return random_weights("cvcnet")


def random_weights(model: str, classes: int = 3) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return dict(build(model, width=4, classes=classes).state_dict())


def test_a_classifier_learns_and_says_what_it_thinks_of_every_test_image(start: dict[str, torch.Tensor]) -> None:
    data = stripes()
    attempt, _ = run_trial(planned(), data, start)
    assert attempt.state == "completed"
    assert attempt.accuracy is not None
    assert attempt.accuracy > 0.8
    assert attempt.dice is None
    assert attempt.validation_dice is None
    assert attempt.validation_accuracy is not None
    assert attempt.training_accuracy is not None
    assert attempt.seconds_per_image is not None
    assert len(attempt.test_images) == 9
    for image in attempt.test_images:
        assert image.label == data.table["label"][image.index]
        assert image.scanner == data.table["scanner"][image.index]
        assert len(image.probabilities) == 3
        assert sum(image.probabilities) == pytest.approx(1)
        assert image.predicted == CLASSES[int(np.argmax(image.probabilities))]
        assert image.accuracy == float(image.predicted == image.label)
        assert image.top2 is not None
        assert image.top2 >= image.accuracy
    right = [image.accuracy for image in attempt.test_images]
    assert attempt.accuracy == pytest.approx(np.mean([value for value in right if value is not None]))


def test_balanced_accuracy_is_the_mean_over_the_classes(start: dict[str, torch.Tensor]) -> None:
    data = stripes()
    table = data.table.assign(label=["plain" if place % 3 else "along" for place in range(36)])
    table.loc[table.index % 9 == 0, "label"] = "across"
    uneven = make_dataset(name="u", provenance="", images=data.images, table=table, classes=CLASSES)
    attempt, _ = run_trial(planned(max_epochs=1), uneven, start)
    found = pd.DataFrame([{"label": image.label, "right": image.accuracy} for image in attempt.test_images])
    assert attempt.balanced_accuracy == pytest.approx(found.groupby("label")["right"].mean().mean())
    assert found["label"].value_counts().nunique() > 1


def test_large_layers_train_as_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = random_weights("caffenet")
    made = planned("units fc6,fc7,fc8", "caffenet", optimiser="sgd", momentum=0.9, weight_decay=5e-4, max_epochs=3)
    whole, _ = run_trial(made, stripes(), weights)
    taken = list[int]()
    monkeypatch.setattr(large_layers, "LARGE", 1)
    update = large_layers.LargeLayers._update
    monkeypatch.setattr(
        large_layers.LargeLayers, "_update", lambda self, *_: taken.append(len(self.modules)) or update(self)
    )
    by_blocks, _ = run_trial(made, stripes(), weights)
    assert set(taken) == {3}
    assert [epoch.training_loss for epoch in by_blocks.epochs] == pytest.approx(
        [epoch.training_loss for epoch in whole.epochs], rel=1e-4
    )
    assert by_blocks.frozen_hash_before == by_blocks.frozen_hash_after


def test_gradual_unfreezing_by_sgd_begins_layers_later_than_others() -> None:
    made = planned("gradual unfreezing", optimiser="sgd", momentum=0.9, unfreeze_every=1, max_epochs=4, patience=9)
    attempt, _ = run_trial(made, stripes(), random_weights("cvcnet"))
    assert attempt.epochs_run == 4
    assert attempt.epochs[-1].training_loss < attempt.epochs[0].training_loss


@pytest.mark.parametrize("model", ["caffenet", "vgg16", "mobilenet", "cvcnet"])
def test_frozen_layers_computed_once_give_what_computing_them_each_time_gives(model: str) -> None:
    data, weights = stripes(), random_weights(model)
    last = UNITS[model][-1]
    once = planned(f"units {last}", model, crops_kept=8, max_epochs=2)
    network = build(model, width=4, classes=3)
    network.load_state_dict(weights)
    split = Split(training=(0, 1, 2, 3), validation=(4,), test=(5, 6), by="image", validation_by="image", note="")
    work = Classification(once, network, data, split, torch.device("cpu"))
    network.eval()
    hidden, truth = next(work.batches())
    assert hidden.shape[1:] == work._network.hidden_before(torch.zeros(1, 1, SIDE, SIDE), last).shape[1:]
    kept = work.loss(hidden, truth)
    plain = Classification(replace(once, units=UNITS[model]), network, data, split, torch.device("cpu"))
    images, same = next(plain.batches())
    assert torch.equal(truth, same)
    assert kept.item() == pytest.approx(plain.loss(images, same).item(), rel=1e-4)


def test_crops_are_random_in_training_and_central_in_tests(start: dict[str, torch.Tensor]) -> None:
    data = stripes()
    network = build("cvcnet", width=4, classes=3)
    network.load_state_dict(start)
    split = Split(training=tuple(range(6)), validation=(), test=(7,), by="image", validation_by="image", note="")
    work = Classification(planned(crop=32), network, data, split, torch.device("cpu"))
    views, _ = next(work.batches())
    assert views.shape == (6, 1, 32, 32)
    network.eval()
    centre = torch.from_numpy(data.images[7][4:36, 4:36].copy())[None, None].float() / 255
    with torch.inference_mode():
        expected = network(centre).softmax(dim=1)[0].tolist()
    tested = work.test()["test_images"][0]
    assert tested.probabilities == pytest.approx(expected, abs=1e-5)


def test_the_mean_image_is_that_of_the_training_images(start: dict[str, torch.Tensor]) -> None:
    data = stripes()
    network = build("cvcnet", width=4, classes=3)
    split = Split(training=(0, 3), validation=(1,), test=(2,), by="image", validation_by="image", note="")
    work = Classification(planned(subtract_mean=True, batch_size=2), network, data, split, torch.device("cpu"))
    views, _ = next(work.batches())
    assert views.mean(dim=0).abs().max().item() < 1e-6
    assert views.abs().max().item() > 0.05


def test_fixed_iterations_run_to_the_end_without_validation(start: dict[str, torch.Tensor]) -> None:
    fixed = planned(iterations=20, validation=0.0, optimiser="sgd", momentum=0.9, weight_decay=5e-4)
    attempt, _ = run_trial(fixed, stripes(), start)
    assert [epoch.epoch for epoch in attempt.epochs] == [1, 2, 3]  # 8, 8 and 4 steps
    assert attempt.best_epoch == 3
    assert attempt.state == "completed"
    assert attempt.cut_at is None
    assert all(epoch.validation_loss is None for epoch in attempt.epochs)
    assert all(epoch.test_accuracy is not None for epoch in attempt.epochs)
    classes = stripes().classes
    of_truth = [image.probabilities[classes.index(str(image.label))] for image in attempt.test_images]
    assert attempt.epochs[-1].test_loss == pytest.approx(-np.log(of_truth).mean(), rel=1e-4)
    assert attempt.validation_images == 0


def test_a_unit_learns_at_its_own_rate(start: dict[str, torch.Tensor]) -> None:
    last = UNITS["cvcnet"][-1]
    slow = planned(unit_rates=f'{{"{last}":1e-9}}', max_epochs=1, learning_rate=1e-2)
    _, tensors = run_trial(slow, stripes(), start)
    names = tensor_names(build("cvcnet", width=4, classes=3))
    moved = {
        unit: max((load(tensors)[name].float() - start[name].float()).abs().max().item() for name in own)
        for unit, own in names.items()
    }
    assert moved[last] < 1e-6
    assert min(value for unit, value in moved.items() if unit != last) > 1e-3


def test_a_new_output_layer_begins_at_random_and_must_learn(start: dict[str, torch.Tensor]) -> None:
    other = random_weights("cvcnet", classes=5)
    attempt, _ = run_trial(planned(new_output=True, max_epochs=1), stripes(), other)
    assert attempt.state == "completed"
    with pytest.raises(WeightsError, match="output layer for 3 classes is new and must learn"):
        run_trial(planned("input layers", new_output=True), stripes(), other)
    with pytest.raises(WeightsError, match="the network has"):
        run_trial(planned(), stripes(), other)


def test_out_of_the_box_trains_nothing(start: dict[str, torch.Tensor]) -> None:
    tested = planned(strategy=AS_PRETRAINED, units=(), fraction=0.0)
    attempt, tensors = run_trial(tested, stripes(), start)
    assert attempt.epochs_run == 0
    assert attempt.trainable_parameters == 0
    assert load(tensors) == {}
    assert attempt.accuracy is not None


def test_what_is_left_of_the_old_task_is_measured_where_classes_are_the_same(start: dict[str, torch.Tensor]) -> None:
    old = stripes(seed=5)
    labels = np.array([CLASSES.index(label) for label in old.table["label"]])
    held_out = HeldOut(images=old.images, masks=np.zeros((36, 0, 0), np.uint8), labels=labels)
    attempt, _ = run_trial(planned(), stripes(), start, held_out=held_out, old_classes=CLASSES)
    assert attempt.kept_accuracy is not None
    assert attempt.kept_accuracy > 0.8
    others, _ = run_trial(planned(max_epochs=1), stripes(), start, held_out=held_out, old_classes=("a", "b", "c"))
    assert others.kept_accuracy is None


def test_the_embedding_is_what_the_last_unit_sees(start: dict[str, torch.Tensor]) -> None:
    kept: list[bytes] = []
    data = stripes()
    attempt, tensors = run_trial(planned(max_epochs=1), data, start, keep_embedding=kept.append)
    found = load(kept[0])
    assert len(found["index"]) == attempt.training_images + attempt.validation_images + len(attempt.test_images)
    assert set(found["part"].tolist()) == {0, 1, 2}
    network = build("cvcnet", width=4, classes=3)
    network.load_state_dict({**start, **load(tensors)})
    network.eval()
    place = int(found["index"][-1])
    image = torch.from_numpy(data.images[place].copy())[None, None].float() / 255
    with torch.inference_mode():
        expected = network.embedding(image)[0]  # type: ignore[attr-defined]
    assert torch.allclose(found["features"][-1].float(), expected, atol=2e-3)


def test_of_start_weights_with_other_classes_the_embedding_before_training_is_kept(
    start: dict[str, torch.Tensor],
) -> None:
    last = list(tensor_names(build("cvcnet", width=4, classes=3)).values())[-1]
    other = {name: torch.zeros(7, 3) if name in last else tensor for name, tensor in start.items()}
    after: list[bytes] = []
    before: list[bytes] = []
    data, new = stripes(), planned(new_output=True, max_epochs=1)
    attempt, _ = run_trial(new, data, other, keep_embedding=after.append, keep_start_embedding=before.append)
    found, moved = load(before[0]), load(after[0])
    assert torch.equal(found["index"], moved["index"])
    assert not torch.allclose(found["features"], moved["features"], atol=2e-2)
    network = build("cvcnet", width=4, classes=3)
    network.load_state_dict(start)
    network.eval()
    images = torch.from_numpy(data.images[found["index"].numpy()].copy())[:, None].float() / 255
    with torch.inference_mode():
        expected = network.embedding(images)  # type: ignore[attr-defined]
    assert torch.allclose(found["features"].float(), expected, atol=2e-3)
    assert run_trial(new, data, other)[0].test_images == attempt.test_images
    run_trial(planned(max_epochs=1), data, start, keep_start_embedding=before.append)
    assert len(before) == 1


@pytest.mark.parametrize("statistics", ["hold", "update"])
def test_statistics_of_frozen_units_are_held_or_updated(start: dict[str, torch.Tensor], statistics: str) -> None:
    last = UNITS["cvcnet"][-1]
    attempt, tensors = run_trial(planned(f"units {last}", statistics=statistics, max_epochs=1), stripes(), start)
    assert attempt.state == "completed"
    moved = [
        name
        for name, tensor in load(tensors).items()
        if "running_mean" in name and not torch.equal(tensor, start[name])
    ]
    assert bool(moved) == (statistics == "update")


def test_statistics_only_changes_no_parameter(start: dict[str, torch.Tensor]) -> None:
    attempt, tensors = run_trial(planned("statistics only", max_epochs=2), stripes(), start)
    assert attempt.trainable_parameters == 0
    changed = {name for name, tensor in load(tensors).items() if not torch.equal(tensor, start[name])}
    assert changed
    assert all("running" in name or "tracked" in name for name in changed)


def test_the_same_trial_gives_the_same_numbers(start: dict[str, torch.Tensor]) -> None:
    def numbers(attempt: Attempt) -> list[Any]:
        return [attempt.epochs[-1].training_loss, *(image.probabilities for image in attempt.test_images)]

    first, second = (
        run_trial(planned("output layers", crop=32, crops_kept=3, max_epochs=2), stripes(), start)[0] for _ in "ab"
    )
    assert numbers(first) == numbers(second)
