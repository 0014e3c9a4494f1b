"""One network, fine-tuned on one fold."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load

from engine import training
from engine.datasets import Dataset, make_dataset
from engine.errors import FrozenChangedError, WeightsError
from engine.evaluation import HeldOut
from engine.models import UNet
from engine.splits import Split
from engine.strategies import hash_of_tensors, tensor_names
from engine.tasks import Segmentation
from engine.training import run_trial
from engine.trial import Attempt, Trial
from tests.made import discs, trial
from tests.precisions import PRECISIONS, needs_bfloat16


@pytest.fixture(scope="module")
def start() -> dict[str, torch.Tensor]:
    """Start weights of a width-2 network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return dict(UNet(2).state_dict())


# Training losses of 20 steps: whole network, width 2, `discs()`, learning rate 1e-2, one batch of 2 per epoch.
# Printed by `python -m tests.test_training` on an AMD EPYC with AVX-512 BF16, torch 2.15.0, 2026-11-20.
GOLDEN_FLOAT32 = [
    0.693309,
    0.690119,
    0.685842,
    0.681207,
    0.680638,
    0.674824,
    0.668155,
    0.671546,
    0.665758,
    0.660575,
    0.663392,
    0.653136,
    0.65079,
    0.650929,
    0.645983,
    0.644516,
    0.634601,
    0.638696,
    0.628598,
    0.634676,
]
GOLDEN_BFLOAT16 = [
    0.693309,
    0.690116,
    0.685827,
    0.681192,
    0.68064,
    0.674814,
    0.668143,
    0.671483,
    0.665757,
    0.66064,
    0.663363,
    0.653135,
    0.650833,
    0.650861,
    0.645942,
    0.644501,
    0.634598,
    0.638718,
    0.628634,
    0.634725,
]


def losses(precision: str) -> list[float]:
    """Training loss of each of 20 steps."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = dict(UNet(2).state_dict())
    steps = trial(max_epochs=20, batches_per_epoch=1, learning_rate=1e-2, precision=precision)
    attempt, _ = run_trial(steps, discs(), weights)
    return [epoch.training_loss for epoch in attempt.epochs]


@pytest.mark.parametrize(
    ("precision", "golden", "tolerance"),
    [("float32", GOLDEN_FLOAT32, 1e-3), pytest.param("bfloat16", GOLDEN_BFLOAT16, 2e-3, marks=needs_bfloat16)],
)
def test_the_loss_of_twenty_steps_is_the_golden_one(precision: str, golden: list[float], tolerance: float) -> None:
    # Other processors sum in another order: the curve agrees closely, not to the bit.
    assert losses(precision) == pytest.approx(golden, rel=tolerance)


def test_the_golden_curve_would_notice_a_changed_rate() -> None:
    changed = trial(max_epochs=20, batches_per_epoch=1, learning_rate=1.1e-2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        attempt, _ = run_trial(changed, discs(), dict(UNet(2).state_dict()))
    assert [epoch.training_loss for epoch in attempt.epochs] != pytest.approx(GOLDEN_FLOAT32, rel=1e-3)


def test_a_network_learns_discs(start: dict[str, torch.Tensor]) -> None:
    attempt, _ = run_trial(
        trial("whole network", width=4, max_epochs=20, learning_rate=1e-2, start_weights=None), discs(), None
    )
    assert attempt.dice is not None
    assert attempt.dice > 0.9


def numbers(attempt: Attempt) -> list[object]:
    """What must be equal between two runs of one trial: all but wall time."""
    timeless = [replace(epoch, seconds=0.0) for epoch in attempt.epochs]
    return [attempt.dice, attempt.best_epoch, timeless, attempt.test_images]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_same_trial_gives_the_same_bits_whatever_ran_before(start: dict[str, torch.Tensor], precision: str) -> None:
    wanted = trial("contracting", precision=precision)
    first, weights = run_trial(wanted, discs(), start)
    torch.manual_seed(99)
    torch.rand(7)
    run_trial(trial("block 9", precision=precision), discs(), start)
    second, again = run_trial(wanted, discs(), start)
    assert numbers(first) == numbers(second)
    assert weights == again


@pytest.mark.parametrize("strategy", ["contracting", "block 5", "block 9", "blocks 1,9"])
def test_only_trained_tensors_are_kept_and_frozen_ones_are_proven(
    start: dict[str, torch.Tensor], strategy: str
) -> None:
    wanted = trial(strategy)
    attempt, weights = run_trial(wanted, discs(), start)
    names = {name for unit in wanted.units for name in tensor_names(UNet(2))[unit]}
    kept = load(weights)
    assert set(kept) == names
    assert attempt.frozen_hash_before == attempt.frozen_hash_after != ""
    assert any(not torch.equal(kept[name], start[name]) for name in names)


def test_a_frozen_unit_that_changes_fails_the_trial(
    start: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddling(network: UNet, *how: object) -> list[torch.nn.Parameter]:
        return list(network.parameters())  # freezes nothing

    monkeypatch.setattr(training, "prepare", meddling)
    monkeypatch.setattr(training, "begin_epoch", lambda network, *units, **how: network.train())
    with pytest.raises(FrozenChangedError, match="frozen units changed"):
        run_trial(trial("block 9"), discs(), start)


def batches_of(planned: Trial, data: Dataset, training: range) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    split = Split(training=tuple(training), validation=(), test=(), by="image", validation_by="image", note="")
    return Segmentation(planned, UNet(2), data, split, torch.device("cpu")).batches()


def test_all_strategies_of_a_fold_see_the_same_batches() -> None:
    first = batches_of(trial("contracting"), discs(), range(13))
    second = batches_of(trial("block 9", learning_rate=0.5), discs(), range(13))
    for _ in range(10):
        for one, other in zip(next(first), next(second), strict=True):
            assert torch.equal(one, other)


def test_every_image_comes_once_before_any_comes_again() -> None:
    batches = batches_of(trial(shift=0.0, zoom=0.0, flip=False, batch_size=1), discs(7), range(7))
    for _ in range(3):
        seen = {next(batches)[0].numpy().tobytes() for _ in range(7)}
        assert len(seen) == 7


def test_training_stops_after_patience_and_keeps_the_best_epoch(start: dict[str, torch.Tensor]) -> None:
    attempt, _ = run_trial(trial("block 9", learning_rate=0.3, patience=2, max_epochs=100), discs(), start)
    losses = [epoch.validation_loss for epoch in attempt.epochs]
    assert attempt.best_epoch is not None
    assert attempt.best_epoch == int(np.argmin(losses)) + 1
    assert attempt.epochs_run == attempt.best_epoch + 2
    assert attempt.state == "completed"
    assert attempt.cut_at is None
    assert attempt.validation_loss == min(losses)


def test_a_cap_below_200_cuts_and_one_of_200_fails(
    start: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, _ = run_trial(trial("block 9", learning_rate=1e-6), discs(), start)
    assert (cut.state, cut.cut_at) == ("completed", 3)
    monkeypatch.setattr(training, "PAPER_CAP", 3)
    failed, _ = run_trial(trial("block 9", learning_rate=1e-6), discs(), start)
    assert (failed.state, failed.cut_at) == ("not_converged", None)


def test_a_training_that_diverged_has_failed_and_does_not_show_the_start_weights(
    start: dict[str, torch.Tensor],
) -> None:
    attempt, weights = run_trial(trial(learning_rate=1e30, patience=2, max_epochs=5), discs(), start)
    assert attempt.state == "not_converged"
    assert (attempt.best_epoch, attempt.cut_at, attempt.validation_loss) == (None, None, None)
    assert not any(torch.equal(tensor, start[name]) for name, tensor in load(weights).items() if "weight" in name)


def test_normal_images_are_no_part_of_dice_and_give_the_false_positive_rate() -> None:
    data = discs(30)
    data.masks[::2] = 0
    data.images[::2] = np.random.default_rng(1).integers(40, 80, data.images[::2].shape)
    learns = trial(width=4, max_epochs=20, learning_rate=1e-2, start_weights=None)
    attempt, _ = run_trial(learns, data, None)
    structures = [image.dice for image in attempt.test_images if not image.empty_truth]
    normals = [image for image in attempt.test_images if image.empty_truth]
    assert 0 < len(normals) < len(attempt.test_images)
    assert attempt.dice == pytest.approx(np.mean(structures))
    assert attempt.normal_images == len(normals)
    assert attempt.false_positive_rate == np.mean([image.predicted_pixels > 0 for image in normals])
    data.masks[:] = 0
    empty, _ = run_trial(replace(learns, max_epochs=1), data, None)
    assert (empty.dice, empty.iou, empty.collapsed) == (None, None, False)


def test_a_network_that_only_says_background_has_collapsed(start: dict[str, torch.Tensor]) -> None:
    dark = {**start, "output.bias": torch.full_like(start["output.bias"], -100.0)}
    attempt, _ = run_trial(trial("block 1", learning_rate=1e-6, max_epochs=1), discs(), dark)
    assert attempt.collapsed
    assert attempt.dice == 0.0
    good, _ = run_trial(trial(width=4, max_epochs=20, learning_rate=1e-2, start_weights=None), discs(), None)
    assert not good.collapsed


def test_test_images_carry_their_masks_and_their_mean_is_the_trials_dice(start: dict[str, torch.Tensor]) -> None:
    attempt, _ = run_trial(trial(), discs(), start)
    assert len(attempt.test_images) == 4  # a fifth of 20
    assert attempt.dice == pytest.approx(np.mean([image.dice for image in attempt.test_images]))
    for image in attempt.test_images:
        mask = np.unpackbits(np.frombuffer(image.predicted_mask, dtype=np.uint8))[: 32 * 32]
        assert mask.sum() == image.predicted_pixels


def test_start_weights_that_do_not_fit_are_named_tensor_by_tensor(start: dict[str, torch.Tensor]) -> None:
    wrong = {name: tensor for name, tensor in start.items() if name != "output.bias"} | {"extra": torch.zeros(1)}
    wrong["output.weight"] = torch.zeros(1, 3, 1, 1)
    with pytest.raises(WeightsError) as caught:
        run_trial(trial(), discs(), wrong)
    text = str(caught.value)
    assert all(name in text for name in ("'extra'", "'output.bias'", "'output.weight'"))
    assert len(caught.value.problems) == 3


def test_adapters_learn_beside_a_network_that_stays_as_it_was(start: dict[str, torch.Tensor]) -> None:
    wanted = trial("LoRA rank 2", method="LoRA", rank=2, learning_rate=1e-2)
    attempt, weights = run_trial(wanted, discs(), start)
    merged = load(weights)
    assert attempt.frozen_hash_before == attempt.frozen_hash_after == hash_of_tensors(start)
    assert set(merged) == set(start)
    assert torch.equal(merged["block1.0.bias"], start["block1.0.bias"])
    assert not torch.equal(merged["block1.0.weight"], start["block1.0.weight"])
    assert 0 < attempt.trainable_parameters < attempt.total_parameters
    again, _ = run_trial(wanted, discs(), start)
    assert numbers(again) == numbers(attempt)


def test_gradual_unfreezing_lets_the_first_block_wait(start: dict[str, torch.Tensor]) -> None:
    wanted = trial(method="gradual unfreezing", unfreeze_every=2, learning_rate=1e-3, max_epochs=4)
    attempt, weights = run_trial(wanted, discs(), start)
    assert attempt.best_epoch == 4
    learned, names = load(weights), tensor_names(UNet(2))
    changed = {unit: any(not torch.equal(learned[name], start[name]) for name in names[unit]) for unit in names}
    assert [unit for unit, other in changed.items() if other] == ["8", "9"]


def test_patience_begins_anew_when_the_last_unit_begins_to_learn(start: dict[str, torch.Tensor]) -> None:
    wanted = trial(method="gradual unfreezing", unfreeze_every=1, learning_rate=1e30, patience=2, max_epochs=30)
    attempt, _ = run_trial(wanted, discs(), start)
    assert attempt.epochs_run >= len(wanted.units) + 1


def test_start_weights_are_tested_as_they_are(start: dict[str, torch.Tensor]) -> None:
    attempt, weights = run_trial(trial(strategy="whole network", units=(), fraction=0.0), discs(), start)
    assert load(weights) == {}
    assert (attempt.state, attempt.epochs_run, attempt.trainable_parameters, attempt.cut_at) == (
        "completed",
        0,
        0,
        None,
    )
    assert len(attempt.test_images) == 4
    network = UNet(2)
    network.load_state_dict(start)
    data = discs()
    chosen = [image.index for image in attempt.test_images]
    with torch.inference_mode():
        shown = network(torch.from_numpy(data.images[chosen])[:, None].float() / 255) >= 0
    assert [image.predicted_pixels for image in attempt.test_images] == shown.sum(dim=(1, 2, 3)).tolist()


def two_structures(images: int = 20) -> Dataset:
    """Discs whose left halves are the first structure and whose right halves the second."""
    data = discs(images)
    right = np.arange(data.masks.shape[2]) >= 16
    masks = np.where((data.masks > 0) & right, 2, data.masks).astype(np.uint8)
    masks[::5] = np.where(masks[::5] == 2, 0, masks[::5])  # every fifth image lacks the second one
    brighter = np.where(masks == 2, 250, data.images).astype(np.uint8)
    return make_dataset(
        name="two", provenance="", images=brighter, masks=masks, table=data.table, structures=("left", "right")
    )


def test_several_structures_are_told_apart_and_each_has_its_dice() -> None:
    wanted = trial(width=8, classes=2, max_epochs=40, learning_rate=3e-3, start_weights=None)
    attempt, _ = run_trial(wanted, two_structures(), None)
    assert attempt.dice is not None
    assert attempt.dice > 0.6
    for image in attempt.test_images:
        known = [value for value in image.class_dice if value is not None]
        assert len(image.class_dice) == 2
        assert image.dice == pytest.approx(np.mean(known))
        masks = np.unpackbits(np.frombuffer(image.predicted_mask, dtype=np.uint8))[: 2 * 32 * 32].reshape(2, 32, 32)
        assert not (masks[0] & masks[1]).any()
        assert masks.sum() == image.predicted_pixels
    assert any(None in image.class_dice for image in attempt.test_images) == any(
        image.index % 5 == 0 for image in attempt.test_images
    )


def test_start_weights_of_one_structure_leave_the_output_of_several_to_be_learned(
    start: dict[str, torch.Tensor],
) -> None:
    run_trial(trial(classes=2, max_epochs=1), two_structures(), start)
    with pytest.raises(WeightsError, match="the output layer for 2 structures is new and must learn"):
        run_trial(trial("contracting", classes=2, max_epochs=1), two_structures(), start)


def test_what_is_left_of_the_old_task_is_measured_on_its_held_out_images(start: dict[str, torch.Tensor]) -> None:
    old = discs(6, seed=9)
    held_out = HeldOut(images=old.images, masks=old.masks)
    learned, _ = run_trial(
        trial(width=4, max_epochs=20, learning_rate=1e-2, start_weights=None), discs(), None, held_out=held_out
    )
    assert learned.kept_dice is not None
    assert learned.kept_dice > 0.8
    forgot, _ = run_trial(trial(units=(), fraction=0.0), discs(), start, held_out=held_out)
    assert forgot.kept_dice is not None
    assert forgot.kept_dice < 0.8


def test_probabilities_are_counted_over_all_test_pixels(start: dict[str, torch.Tensor]) -> None:
    attempt, _ = run_trial(trial(), discs(), start)
    assert [part.low for part in attempt.calibration] == pytest.approx([number / 10 for number in range(10)])
    assert sum(part.pixels for part in attempt.calibration) == 4 * 32 * 32
    truth = discs().masks[[image.index for image in attempt.test_images]]
    assert sum(part.positive_pixels for part in attempt.calibration) == truth.sum()
    for part in attempt.calibration:
        assert part.low * part.pixels <= part.probability_sum + 1e-6 <= (part.low + 0.1) * part.pixels + 1e-3


def test_outlines_are_measured_at_the_sources_size(start: dict[str, torch.Tensor]) -> None:
    data = discs()
    pixels, _ = run_trial(trial(width=4, max_epochs=10, learning_rate=1e-2, start_weights=None), data, None)
    known = make_dataset(
        name="d", provenance="", images=data.images, masks=data.masks, table=data.table.assign(spacing_mm=0.5)
    )
    mm, _ = run_trial(trial(width=4, max_epochs=10, learning_rate=1e-2, start_weights=None), known, None)
    assert (pixels.hd95_unit, mm.hd95_unit) == ("source pixels", "mm")
    assert mm.hd95 is not None
    assert pixels.hd95 is not None
    assert mm.hd95 == pytest.approx(0.5 * pixels.hd95)


if __name__ == "__main__":
    for precision in ("float32", "bfloat16"):
        print(precision, [float(f"{loss:.6f}") for loss in losses(precision)])
