"""Loading a trained trial and predicting frames."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save

from engine.errors import StoreError, WeightsError
from engine.images import resize_image
from engine.inference import load_model, predict
from engine.models.unet import UNet
from engine.overlays import CYAN, outline
from tests.trained_store import (
    SIZE,
    STUDY,
    WIDTH,
    TrainedStore,
    another,
    attempt,
    brightness_network,
    disc,
    make_trained_store,
)


@pytest.fixture
def fresh(tmp_path: Path) -> TrainedStore:
    """A store that the test may damage."""
    return make_trained_store(tmp_path)


def test_start_weights_lie_under_the_trained_tensors(trained: TrainedStore) -> None:
    model = load_model(trained.store, STUDY, trained.bright.id, device="cpu")
    assert trained.bright.start_weights is not None
    start = load_file(trained.store.start_weights(STUDY, trained.bright.start_weights))
    own = load_file(trained.store.trained_weights(STUDY, trained.bright.id))
    assert set(own) < set(start)
    for name, tensor in model.network.state_dict().items():
        torch.testing.assert_close(tensor, own.get(name, start[name]), rtol=0, atol=0)


def test_a_prediction_at_the_networks_size_is_the_networks_own_output(trained: TrainedStore) -> None:
    network = UNet(WIDTH).eval()
    network.load_state_dict(brightness_network(seed=2))
    frame = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), dtype=np.uint8)
    with torch.no_grad():
        expected = torch.sigmoid(network(torch.from_numpy(frame)[None, None] / 255))[0, 0].numpy()
    prediction = predict(load_model(trained.store, STUDY, trained.scratch.id, device="cpu"), frame)
    np.testing.assert_allclose(prediction.probability, expected, atol=1e-5)
    np.testing.assert_array_equal(prediction.mask, expected >= 0.5)
    assert prediction.area_pixels == int((expected >= 0.5).sum())


def test_a_larger_frame_is_answered_at_its_own_size(trained: TrainedStore) -> None:
    frame = disc(90, 140, radius=30)
    model = load_model(trained.store, STUDY, trained.bright.id, device="cpu")
    prediction = predict(model, frame)
    assert prediction.mask.shape == frame.shape
    truth = frame > 128
    dice = 2 * (prediction.mask & truth).sum() / (prediction.mask.sum() + truth.sum())
    assert dice > 0.95  # the square of 32 pixels sees the disc with an edge of 3 by 4 source pixels
    assert prediction.area_pixels == prediction.mask.sum()
    assert set(prediction.milliseconds) == {"resize", "network", "mask"}
    assert all(value >= 0 for value in prediction.milliseconds.values())


def test_the_frame_is_resized_as_in_training(trained: TrainedStore) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (100, 70), dtype=np.uint8)
    model = load_model(trained.store, STUDY, trained.bright.id, device="cpu")
    square = predict(model, resize_image(frame, SIZE)).probability
    enlarged = torch.nn.functional.interpolate(
        torch.from_numpy(square)[None, None], (100, 70), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    np.testing.assert_allclose(predict(model, frame).probability, enlarged, atol=1e-5)


def test_another_trial_says_something_else(trained: TrainedStore) -> None:
    bright = predict(load_model(trained.store, STUDY, trained.bright.id, device="cpu"), disc()).mask
    dark = predict(load_model(trained.store, STUDY, trained.dark.id, device="cpu"), disc()).mask
    assert (bright != dark).mean() > 0.95


def test_missing_unknown_and_misshapen_tensors_are_named(fresh: TrainedStore) -> None:
    tensors = load_file(fresh.store.trained_weights(STUDY, fresh.bright.id))
    del tensors["output.bias"]
    tensors["block1.0.bias"] = torch.zeros(WIDTH)  # exists, but block 9 did not train it
    tensors["output.weight"] = torch.zeros(1, WIDTH + 1, 1, 1)
    fresh.store.append(STUDY, attempt(fresh.bright, 0.9), weights=save(tensors))
    with pytest.raises(WeightsError) as caught:
        load_model(fresh.store, STUDY, fresh.bright.id, device="cpu")
    missing, unknown, misshapen = caught.value.problems
    assert "'output.bias' is missing" in missing
    assert "unknown tensor 'block1.0.bias'" in unknown
    assert "(1, 5, 1, 1)" in misshapen
    assert "(1, 4, 1, 1)" in misshapen


def test_damaged_weights_are_an_error_of_one_line(fresh: TrainedStore) -> None:
    fresh.store.append(STUDY, attempt(fresh.bright, 0.9), weights=b"no tensors at all")
    with pytest.raises(WeightsError, match="cannot be read") as caught:
        load_model(fresh.store, STUDY, fresh.bright.id, device="cpu")
    assert len(caught.value.problems) == 1


def test_weights_that_are_gone_and_unknown_trials_are_store_errors(fresh: TrainedStore) -> None:
    fresh.store.trained_weights(STUDY, fresh.bright.id).unlink()
    with pytest.raises(StoreError, match="not in the store"):
        load_model(fresh.store, STUDY, fresh.bright.id)
    with pytest.raises(StoreError, match="no trial 'nonsense'"):
        load_model(fresh.store, STUDY, "nonsense")
    with pytest.raises(StoreError, match="no study 'nonsense' in"):
        load_model(fresh.store, "nonsense", fresh.bright.id)


def test_a_partly_trained_trial_without_start_weights_is_refused(fresh: TrainedStore) -> None:
    orphan = another(fresh.bright, start_weights=None)
    fresh.store.write_plan(STUDY, [orphan], {})
    weights = fresh.store.trained_weights(STUDY, fresh.bright.id).read_bytes()
    fresh.store.append(STUDY, attempt(orphan, 0.9), weights=weights)
    with pytest.raises(WeightsError, match="names no start weights"):
        load_model(fresh.store, STUDY, orphan.id)


@pytest.mark.parametrize("side", [40, 400, 1200])
def test_the_outline_lies_on_the_masks_edge_and_nowhere_else(side: int) -> None:
    frame = np.full((side, side), 60, np.uint8)
    mask = (disc(side, side, radius=side // 4) > 128).astype(np.uint8)
    drawn = outline(frame, mask)
    changed = (drawn != 60).any(axis=2)
    rows, columns = np.nonzero(changed)
    distance = np.hypot(rows - side / 2 + 0.5, columns - side / 2 + 0.5) - side // 4
    thickness = max(1.5, side / 200)
    assert np.abs(distance).max() < thickness / 2 + 1.6
    # As much ink as a ring of that thickness holds, by how far each pixel went towards cyan.
    ink = (60.0 - drawn[..., 0]).sum() / 60
    assert ink == pytest.approx(2 * np.pi * (side // 4) * thickness, rel=0.2)
    assert (drawn == CYAN).all(axis=2).any()
    assert len(np.unique(drawn[..., 0])) > 2  # antialiased


def test_a_structure_at_the_border_is_closed_and_an_empty_mask_draws_nothing() -> None:
    frame = np.full((60, 80), 60, np.uint8)
    mask = np.zeros((60, 80), np.uint8)
    np.testing.assert_array_equal(outline(frame, mask), np.full((60, 80, 3), 60))
    mask[:, :] = 1
    drawn = outline(frame, mask)
    for edge in (drawn[0, 5:-5], drawn[-1, 5:-5], drawn[5:-5, 0], drawn[5:-5, -1]):
        assert (edge[:, 0] < 60).all()
    np.testing.assert_array_equal(drawn[5:-5, 5:-5], np.full((50, 70, 3), 60))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_any_frame_keeps_its_size(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    frame = random.integers(0, 256, (height, width), dtype=np.uint8)
    mask = random.integers(0, 2, (height, width), dtype=np.uint8)
    assert outline(frame, mask).shape == (height, width, 3)
