"""Start weights: made once, found again, checked when they come from a user's file."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from engine import pretraining
from engine.datasets import open_dataset
from engine.errors import WeightsError
from engine.metrics import dice
from engine.models.unet import UNet
from engine.natural_images import natural_images
from engine.pretraining import (
    StartWeights,
    draw_held_out,
    held_out_images,
    learning_rate,
    load_held_out,
    load_start_weights,
    load_weights_file,
    start_weights,
)
from engine.study_settings import DataSettings, ModelSettings, StartSettings, Study

MODEL = ModelSettings(width=4, image_size=32)
STUDY = Study(name="s", model=MODEL)
TINY = StartSettings(images=20, batches=12, batch_size=2)


def make(settings: StartSettings, cache: Path, model: ModelSettings = MODEL) -> StartWeights:
    return start_weights(settings, Study(name="s", model=model), cache)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> StartWeights:
    """The weights of TINY, made once for the tests that only compare with them."""
    return make(TINY, tmp_path_factory.mktemp("cache"))


def names_in(cache: Path) -> list[str]:
    return sorted(path.suffix for path in cache.rglob("*") if path.is_file())


def test_start_weights_are_made_described_and_kept(tmp_path: Path) -> None:
    made = make(TINY, tmp_path)
    assert made.path.parent == tmp_path / "start_weights"
    assert names_in(tmp_path) == [".json", ".safetensors"]
    assert made.own_dice is not None
    assert made.own_loss is not None
    assert 0 <= made.own_dice <= 1
    assert made.description.startswith("pre-trained on 18 natural-like images made here; Dice ")
    assert "on 2 held-out ones" in made.description
    assert json.loads(made.path.with_suffix(".json").read_text())["sha256"] == made.sha256
    UNet(MODEL.width).load_state_dict(load_start_weights(made.path), strict=True)


def test_weights_that_have_not_learned_their_own_task_are_said_to_be_so(tmp_path: Path) -> None:
    made = make(replace(TINY, batches=1), tmp_path)
    assert "has not learned its own task" in made.description


def test_the_same_recipe_is_found_and_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(TINY, tmp_path)
    monkeypatch.setattr(pretraining, "_pretrain", None)
    assert make(TINY, tmp_path) == first


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        (replace(TINY, seed=1), MODEL),
        (replace(TINY, images=30), MODEL),
        (replace(TINY, batches=13), MODEL),
        (replace(TINY, batch_size=3), MODEL),
        (TINY, replace(MODEL, width=2)),
        (TINY, replace(MODEL, image_size=16)),
    ],
)
def test_another_recipe_gives_other_weights(
    settings: StartSettings, model: ModelSettings, tiny: StartWeights, tmp_path: Path
) -> None:
    other = make(settings, tmp_path, model)
    assert other.path.name != tiny.path.name
    assert other.sha256 != tiny.sha256


def test_the_same_recipe_made_twice_gives_the_same_bits_and_leaves_the_global_stream_alone(
    tiny: StartWeights, tmp_path: Path
) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    assert make(TINY, tmp_path).sha256 == tiny.sha256
    assert torch.equal(torch.rand(3), expected)


def test_pre_training_learns(tmp_path: Path) -> None:
    short = make(replace(TINY, images=60, batches=1), tmp_path)
    longer = make(replace(TINY, images=60, batches=150), tmp_path)
    assert short.own_loss is not None
    assert longer.own_loss is not None
    assert longer.own_loss < 0.8 * short.own_loss


def test_progress_rises_to_one_and_names_the_batch(tmp_path: Path) -> None:
    heard: list[tuple[float, str]] = []
    start_weights(TINY, STUDY, tmp_path, lambda part, text: heard.append((part, text)))
    parts = [part for part, _ in heard]
    assert parts == sorted(parts)
    assert parts[-1] == 1
    assert any("batch 10 of 12, loss " in text for _, text in heard)


def test_an_interrupted_making_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupt(part: float, text: str) -> None:
        if "batch" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_weights(TINY, STUDY, tmp_path, interrupt)
    assert names_in(tmp_path) == []


def test_an_interrupted_writing_leaves_no_half_file_and_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(KeyboardInterrupt):
            make(TINY, tmp_path)
    assert names_in(tmp_path) == []
    make(TINY, tmp_path)
    assert names_in(tmp_path) == [".json", ".safetensors"]


@pytest.mark.parametrize("suffix", [".json", ".safetensors"])
@pytest.mark.parametrize("damage", ["truncated", "gone"])
def test_damaged_weights_in_the_cache_are_made_again(suffix: str, damage: str, tmp_path: Path) -> None:
    first = make(TINY, tmp_path)
    victim = first.path.with_suffix(suffix)
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:-20])
    again = make(TINY, tmp_path)
    assert again.sha256 == first.sha256
    assert pretraining.hash_of_tensors(load_file(again.path)) == first.sha256


def write_weights(path: Path, width: int = MODEL.width) -> dict[str, torch.Tensor]:
    tensors = UNet(width).state_dict()
    save_file(tensors, path)
    return tensors


def test_weights_of_a_users_file_are_taken_as_they_are(tmp_path: Path) -> None:
    tensors = write_weights(tmp_path / "mine.safetensors")
    made = make(StartSettings(kind="file", file=str(tmp_path / "mine.safetensors")), tmp_path / "cache")
    loaded = load_start_weights(made.path)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
    assert (made.own_dice, made.own_loss) == (None, None)
    checksum = hashlib.sha256((tmp_path / "mine.safetensors").read_bytes()).hexdigest()
    assert made.description == f"weights of the file mine.safetensors (SHA-256 {checksum[:12]})"
    moved = (tmp_path / "mine.safetensors").rename(tmp_path / "moved.safetensors")
    found = make(StartSettings(kind="file", file=str(moved)), tmp_path / "cache")
    assert found.path == made.path
    assert found.description == f"weights of the file moved.safetensors (SHA-256 {checksum[:12]})"


def test_a_file_of_another_width_names_the_tensor_both_shapes_and_the_remedy(tmp_path: Path) -> None:
    write_weights(tmp_path / "wide.safetensors", width=8)
    with pytest.raises(WeightsError) as caught:
        load_weights_file(tmp_path / "wide.safetensors", STUDY)
    assert (
        "wide.safetensors: tensor 'block1.0.weight' has shape (8, 1, 3, 3), unet of width 4 expects (4, 1, 3, 3); "
        "set model.width to the file's width or choose another file"
    ) in caught.value.problems


def test_missing_unknown_and_infinite_tensors_are_all_reported_at_once(tmp_path: Path) -> None:
    tensors = dict(UNet(MODEL.width).state_dict())
    tensors["extra"] = tensors.pop("block1.0.bias")
    tensors["output.bias"] = torch.tensor([float("nan")])
    save_file(tensors, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_weights_file(tmp_path / "odd.safetensors", STUDY)
    text = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 3
    assert "'block1.0.bias' (4,) is missing" in text
    assert "unknown tensor 'extra' (4,)" in text
    assert "'output.bias' (torch.float32) holds values that are not finite numbers" in text


def test_a_file_that_is_not_safetensors_is_refused_without_running_it(tmp_path: Path) -> None:
    torch.save(UNet(MODEL.width).state_dict(), tmp_path / "pickled.pt")
    with pytest.raises(WeightsError, match=r"pickled\.pt: not a readable safetensors file .* write one with"):
        load_weights_file(tmp_path / "pickled.pt", STUDY)


def write_folder(folder: Path, seed: int) -> None:
    """Twelve images of four groups in the layout with a manifest."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows = ["image,mask,group"]
    for index, (image, mask) in enumerate(zip(*natural_images(12, 32, seed), strict=True)):
        Image.fromarray(image).save(folder / "images" / f"{index}.png")
        Image.fromarray(mask * 255).save(folder / "masks" / f"{index}.png")
        rows.append(f"images/{index}.png,masks/{index}.png,patient {index // 3}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")


def test_a_folder_of_images_pre_trains_and_is_found_by_its_content(tmp_path: Path) -> None:
    for name, seed in (("fruit", 0), ("copy", 0), ("other", 1)):
        write_folder(tmp_path / name, seed)
    made, copy, other = (
        make(replace(TINY, kind="folder", folder=str(tmp_path / name)), tmp_path / "cache")
        for name in ("fruit", "copy", "other")
    )
    assert made.description.startswith("pre-trained on 9 images of fruit; Dice ")
    assert "on 3 held-out ones" in made.description
    assert (copy.sha256, copy.path) == (made.sha256, made.path)
    assert (made.name, copy.name) == ("fruit", "copy")
    assert other.sha256 != made.sha256


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_missing_file_or_folder_is_named(kind: str, tmp_path: Path) -> None:
    settings = StartSettings(kind=kind, **{kind: str(tmp_path / "nowhere")})  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match=rf"start_weights\.{kind}: '.*nowhere' is no {kind}"):
        make(settings, tmp_path)


def test_held_out_images_are_a_tenth_and_never_share_a_group() -> None:
    groups = np.repeat(np.arange(25), 4).astype(str)
    held_out = draw_held_out(groups, seed=0)
    assert held_out.sum() == 12  # whole groups of 4 until 10 of 100 are reached
    assert not set(groups[held_out]) & set(groups[~held_out])


def test_two_images_suffice_and_one_does_not() -> None:
    assert draw_held_out(np.array(["a", "b"]), seed=0).sum() == 1
    with pytest.raises(WeightsError, match="of one group; add a second"):
        draw_held_out(np.array(["a"]), seed=0)


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    warm_up, peak = pretraining.WARM_UP, pretraining.PEAK_LEARNING_RATE
    assert learning_rate(warm_up / 2) == pytest.approx(0.5 * peak)
    assert learning_rate(warm_up) == pytest.approx(peak)
    assert learning_rate((1 + warm_up) / 2) == pytest.approx(0.5 * peak)
    assert learning_rate(1.0) == pytest.approx(0, abs=1e-12)


def test_simulated_ultrasound_pre_trains_with_other_images_than_a_study_simulates(tmp_path: Path) -> None:
    settings = replace(TINY, kind="simulated ultrasound", scanner="B")
    made = make(settings, tmp_path)
    assert made.description.startswith("pre-trained on 18 images of scanner B (simulated); Dice ")
    images = pretraining.start_images(settings, STUDY, tmp_path)
    own = open_dataset(DataSettings(kind="simulated", images=20, scanner="B"), MODEL.image_size, tmp_path)
    assert images is not None
    assert not {image.tobytes() for image in images.images} & {image.tobytes() for image in own.images}


def test_start_weights_come_from_other_rows_of_the_studys_own_folder(tmp_path: Path) -> None:
    write_folder(tmp_path / "both", 0)
    study = replace(
        STUDY, data=DataSettings(folder=str(tmp_path / "both"), where={"group": ("patient 0", "patient 1")})
    )
    settings = replace(TINY, kind="folder", where={"group": ("patient 2", "patient 3")})
    images = pretraining.start_images(settings, study, tmp_path / "cache")
    assert images is not None
    assert set(images.table["group"]) == {"patient 2", "patient 3"}
    assert start_weights(settings, study, tmp_path / "cache").name == "other rows"


@pytest.mark.parametrize("settings", [TINY, replace(TINY, kind="simulated ultrasound")])
def test_held_out_images_are_those_that_never_trained(settings: StartSettings, tmp_path: Path) -> None:
    path = held_out_images(settings, STUDY, tmp_path)
    assert path is not None
    kept = load_held_out(path)
    assert kept.images.shape == kept.masks.shape == (2, 32, 32)
    assert held_out_images(settings, STUDY, tmp_path) == path
    made = make(settings, tmp_path)
    network = UNet(MODEL.width)
    network.load_state_dict(load_start_weights(made.path))
    with torch.inference_mode():
        shown = network.eval()(torch.from_numpy(kept.images)[:, None].float() / 255) > 0
    found = dice(shown[:, 0].numpy(), kept.masks > 0).mean()
    assert made.own_dice == pytest.approx(found, abs=0.05)  # own Dice may be computed in bfloat16


def test_a_users_file_has_no_held_out_images(tmp_path: Path) -> None:
    assert held_out_images(StartSettings(kind="file", file="x.safetensors"), STUDY, tmp_path) is None


def test_weights_of_the_same_recipe_that_a_study_began_from_come_first(tmp_path: Path) -> None:
    first = make(TINY, tmp_path / "cache")
    other = replace(first, path=tmp_path / "kept.safetensors", sha256="k" * 64)
    other.path.write_bytes(first.path.read_bytes())
    assert start_weights(TINY, STUDY, tmp_path / "cache", known=[other]).sha256 == "k" * 64
