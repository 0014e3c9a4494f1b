"""Feature maps of a unit before and after fine-tuning, of networks whose maps are known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save
from torch import nn
from torch.nn import functional

from engine.errors import StoreError, StrategyError, WeightsError
from engine.features import before_fine_tuning, unit_maps
from engine.inference import LoadedModel, load_model
from engine.models.network import NamedUnits
from tests.trained_store import SIZE, STUDY, WIDTH, TrainedStore, brightness_network, disc, make_trained_store


@pytest.fixture
def fresh(tmp_path: Path) -> TrainedStore:
    """A store that the test may damage."""
    return make_trained_store(tmp_path)


FRAME = disc(SIZE, SIZE, radius=9)


def loaded(store: TrainedStore, trial_id: str) -> LoadedModel:
    return load_model(store.store, STUDY, trial_id, device="cpu")


@pytest.mark.parametrize(("unit", "channels", "side"), [("1", WIDTH, SIZE), ("5a", 16 * WIDTH, SIZE // 16)])
def test_maps_have_the_units_channels_and_size(trained: TrainedStore, unit: str, channels: int, side: int) -> None:
    maps = unit_maps(loaded(trained, trained.bright.id), FRAME, unit)
    assert maps.shape == (channels, side, side)
    assert maps.min() >= 0


def test_the_last_unit_gives_what_its_output_layer_sees(trained: TrainedStore) -> None:
    model = loaded(trained, trained.bright.id)
    maps = unit_maps(model, FRAME, "9")
    # Channel 0 hands the pixel on, see brightness_network.
    np.testing.assert_allclose(maps[0], FRAME / 255, atol=1e-6)
    with torch.inference_mode():
        logits = model.network(torch.from_numpy(FRAME)[None, None] / 255)
        again = model.network.get_submodule("output")(torch.from_numpy(maps)[None])
    torch.testing.assert_close(again, logits)


def test_maps_are_those_after_the_relu_which_the_network_applies_in_place(trained: TrainedStore) -> None:
    model = loaded(trained, trained.dark.id)
    state = model.network.state_dict()
    hidden = torch.from_numpy(FRAME)[None, None] / 255
    for name in ("block1.0", "block1.1"):
        hidden = functional.relu(functional.conv2d(hidden, state[f"{name}.weight"], state[f"{name}.bias"], padding=1))
    np.testing.assert_allclose(unit_maps(model, FRAME, "1"), hidden[0].numpy(), atol=1e-5)


def test_frozen_units_hand_on_what_they_did_before_and_trained_ones_do_not(trained: TrainedStore) -> None:
    last_only = loaded(trained, trained.bright.id)
    whole = loaded(trained, trained.dark.id)
    start = before_fine_tuning(trained.store, whole)
    for name, tensor in brightness_network(seed=1).items():
        torch.testing.assert_close(start.network.state_dict()[name], tensor, rtol=0, atol=0)
    np.testing.assert_array_equal(unit_maps(start, FRAME, "5a"), unit_maps(last_only, FRAME, "5a"))
    assert np.abs(unit_maps(start, FRAME, "5a") - unit_maps(whole, FRAME, "5a")).max() > 0.01


def test_the_trained_network_stays_as_it_is(trained: TrainedStore) -> None:
    whole = loaded(trained, trained.dark.id)
    before = unit_maps(whole, FRAME, "2")
    before_fine_tuning(trained.store, whole)
    np.testing.assert_array_equal(unit_maps(whole, FRAME, "2"), before)


def test_a_trial_from_scratch_has_no_start_weights_to_show(trained: TrainedStore) -> None:
    with pytest.raises(StoreError, match="random weights, which are not kept"):
        before_fine_tuning(trained.store, loaded(trained, trained.scratch.id))


def start_file(store: TrainedStore) -> Path:
    assert store.dark.start_weights is not None
    return store.store.start_weights(STUDY, store.dark.start_weights)


def test_start_weights_that_are_gone_are_named(fresh: TrainedStore) -> None:
    model = loaded(fresh, fresh.dark.id)
    start_file(fresh).unlink()
    with pytest.raises(StoreError, match="start weights"):
        before_fine_tuning(fresh.store, model)


def test_start_weights_of_a_part_of_the_network_are_refused(fresh: TrainedStore) -> None:
    model = loaded(fresh, fresh.dark.id)
    start_file(fresh).write_bytes(save({"block1.0.weight": brightness_network()["block1.0.weight"]}))
    with pytest.raises(WeightsError, match=r"lack 45 of 46 tensors .*choose a trial"):
        before_fine_tuning(fresh.store, model)


def test_an_output_layer_for_more_structures_stays_the_trained_one(fresh: TrainedStore) -> None:
    model = loaded(fresh, fresh.dark.id)
    start = brightness_network(seed=1)
    start["output.weight"], start["output.bias"] = torch.zeros(3, WIDTH, 1, 1), torch.zeros(3)
    start_file(fresh).write_bytes(save(start))
    before = before_fine_tuning(fresh.store, model)
    kept = model.network.state_dict()["output.weight"]
    torch.testing.assert_close(before.network.state_dict()["output.weight"], kept)
    assert unit_maps(before, FRAME, "9").shape == (WIDTH, SIZE, SIZE)


def test_an_unknown_unit_is_told_with_the_known_ones(trained: TrainedStore) -> None:
    with pytest.raises(StrategyError, match="unknown unit '10'; this network has 1, 2, 3, 4, 5a"):
        unit_maps(loaded(trained, trained.bright.id), FRAME, "10")


def own_network(**changes: object) -> LoadedModel:
    """A network of two units whose activations are modules of their own."""
    stem = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(inplace=True))
    head = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Identity())
    named = NamedUnits(nn.Sequential(stem, head), {"stem": [stem], "head": [head], **changes}).eval()
    return LoadedModel(
        study="own", trial_id="0" * 64, network=named, image_size=SIZE, device="cpu", precision="float32"
    )


def test_another_network_shows_the_last_layer_of_a_unit_as_it_is() -> None:
    model = own_network()
    assert unit_maps(model, FRAME, "stem").shape == (3, SIZE, SIZE)
    assert unit_maps(model, FRAME, "stem").min() >= 0
    assert unit_maps(model, FRAME, "head").shape == (1, SIZE, SIZE)


def test_a_unit_that_is_never_run_gives_no_maps() -> None:
    with pytest.raises(StrategyError, match="unit 'aside' gives no maps"):
        unit_maps(own_network(aside=[nn.Conv2d(1, 1, 1)]), FRAME, "aside")
