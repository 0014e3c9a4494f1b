"""The U-Net's parts that its parameter counts do not show; the U-Net of segmentation-models-pytorch."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from engine.architectures import SMP_UNITS, parse_strategy, unet_convolutions
from engine.errors import StudyFileError, WeightsError
from engine.models import UNet, build, check_network, load_encoder_weights, unit_names, unit_parameters
from engine.strategies import (
    begin_epoch,
    freeze_all_but,
    frozen_hash,
    hash_of_tensors,
    prepare,
    tensor_names,
    trained_tensors,
)


@pytest.mark.parametrize("units", [("1",), ("9",), ("5a", "5b")])
def test_half_of_block_5_is_dropped_in_training_whatever_is_frozen_and_nothing_in_test(
    units: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[tuple[int, ...], float, bool]] = []
    real = functional.dropout

    def watched(hidden: torch.Tensor, p: float, training: bool) -> torch.Tensor:
        calls.append((tuple(hidden.shape), p, training))
        return real(hidden, p, training)

    monkeypatch.setattr(functional, "dropout", watched)
    network = UNet(2)
    freeze_all_but(network, units)
    network.train()(torch.rand(1, 1, 32, 32))
    network.eval()(torch.rand(1, 1, 32, 32))
    # Amiri et al. 2020, II-A: 50 %, just after the bottleneck (32 filters at width 2, a sixteenth of the side)
    assert calls == [((1, 32, 2, 2), 0.5, True), ((1, 32, 2, 2), 0.5, False)]


def test_logits_have_the_images_size() -> None:
    assert UNet(2).eval()(torch.rand(3, 1, 48, 64)).shape == (3, 1, 48, 64)


def test_weights_begin_as_he_proposed_and_biases_at_nought() -> None:
    torch.manual_seed(0)
    network = UNet(16)
    weight = network.block5b.weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (9 * 256)), rel=0.02)
    assert not network.block5b.bias.any()  # type: ignore[union-attr]


def test_skips_carry_the_shallow_blocks_to_the_end() -> None:
    torch.manual_seed(0)
    network = UNet(2).eval()
    with torch.no_grad():
        for convolution in (network.block5a, network.block5b):
            convolution.weight.zero_()  # nothing passes the bottleneck
        first, second = network(torch.zeros(1, 1, 32, 32)), network(torch.rand(1, 1, 32, 32))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize(("classes", "channels"), [(1, 1), (2, 3), (3, 4)])
def test_several_structures_get_a_channel_each_and_one_of_background(classes: int, channels: int) -> None:
    network = build("unet", width=2, classes=classes)
    assert network(torch.rand(1, 1, 32, 32)).shape == (1, channels, 32, 32)
    counts = unit_parameters("unet", width=2, classes=classes)
    assert sum(counts.values()) == sum(parameter.numel() for parameter in network.parameters())
    assert tuple(counts) == unit_names("unet", width=2, classes=classes) == tuple(network.units())


def test_convolutions_come_in_the_order_in_which_images_pass_them() -> None:
    network, passed = UNet(2).eval(), []
    for module in network.modules():
        module.register_forward_hook(lambda module, inputs, outputs: passed.append(module))
    network(torch.rand(1, 1, 32, 32))
    convolutions = [module for module in passed if isinstance(module, nn.Conv2d)]
    finer = network.finer_units()
    assert [module for (module,) in finer.values()] == convolutions
    assert {name: (c.kernel_size[0], c.in_channels, c.out_channels) for name, (c,) in finer.items()} == (
        unet_convolutions(2)
    )


def test_a_network_that_is_not_known_brings_the_known_ones() -> None:
    with pytest.raises(StudyFileError, match="unknown network 'vnet'; known: unet, smp, caffenet, vgg16, mobilenet"):
        build("vnet", width=2, classes=1)


def test_the_built_in_networks_pass_the_check_that_a_users_must() -> None:
    check_network("unet", image_size=32, width=2, classes=2)
    check_network("smp", image_size=32, encoder="resnet18")


def test_the_network_of_smp_has_three_units_and_the_state_dict_of_the_library() -> None:
    network = build("smp", width=64, classes=2, encoder="resnet18")
    names = tensor_names(network)
    assert tuple(names) == SMP_UNITS == unit_names("smp", encoder="resnet18")
    assert "encoder.conv1.weight" in names["encoder"]
    assert network(torch.rand(2, 1, 32, 64)).shape == (2, 3, 32, 64)
    counts = unit_parameters("smp", width=64, classes=2, encoder="resnet18")
    assert counts["encoder"] == 11_170_240  # torchvision's resnet18 less its fc (513,000) and two colours (6,272)
    assert sum(counts.values()) == sum(parameter.numel() for parameter in network.parameters())
    other = build("smp", width=64, classes=2, encoder="resnet18")
    other.load_state_dict(network.state_dict())
    assert hash_of_tensors(other.state_dict()) == hash_of_tensors(network.state_dict())


def test_a_frozen_encoder_keeps_its_statistics_while_the_decoder_learns() -> None:
    network = build("smp", width=64, classes=1, encoder="resnet18")
    units = parse_strategy("smp U-Net, frozen encoder").units
    learning = prepare(network, units)
    before = frozen_hash(network, units)
    decoder = trained_tensors(network, units)
    begin_epoch(network, units, method="fine-tune", epoch=1, every=1)
    images = torch.rand(2, 1, 32, 32)
    torch.autograd.backward(functional.binary_cross_entropy_with_logits(network(images), images.round()))
    torch.optim.Adam(learning, lr=1e-3, fused=True).step()
    assert frozen_hash(network, units) == before
    assert hash_of_tensors(trained_tensors(network, units)) != hash_of_tensors(decoder)


def test_an_encoder_that_is_not_known_brings_a_near_one() -> None:
    with pytest.raises(StudyFileError, match=r"encoder 'resnet19' is not in .*did you mean 'resnet18'"):
        build("smp", width=64, classes=1, encoder="resnet19")


def torchvision_weights(name: str) -> dict[str, torch.Tensor]:
    """A classifier's state dict as torchvision names it, with random weights."""
    from torchvision import models

    return models.get_model(name, weights=None).state_dict()


@pytest.mark.parametrize(
    ("encoder", "file"),
    [("resnet18", "x.safetensors"), ("resnet18", "x.pt"), ("densenet121", "x.pt")],
)
def test_torchvisions_weights_load_into_the_encoder(encoder: str, file: str, tmp_path: Path) -> None:
    given = torchvision_weights(encoder)
    save = save_file if file.endswith("safetensors") else torch.save
    save(given, tmp_path / file)
    found = load_encoder_weights(tmp_path / file, encoder)
    network = build("smp", width=64, classes=1, encoder=encoder)
    assert set(found) == set(tensor_names(network)["encoder"])
    network.load_state_dict(found, strict=False)
    assert hash_of_tensors(trained_tensors(network, ("encoder",))) == hash_of_tensors(found)


def test_colours_are_summed_so_that_gray_looks_as_it_would_in_colour(tmp_path: Path) -> None:
    given = torchvision_weights("resnet18")
    torch.save(given, tmp_path / "x.pt")
    weight = load_encoder_weights(tmp_path / "x.pt", "resnet18")["encoder.conv1.weight"]
    gray = torch.rand(1, 1, 16, 16)
    coloured = functional.conv2d(gray.expand(1, 3, 16, 16), given["conv1.weight"])
    assert torch.allclose(functional.conv2d(gray, weight), coloured, atol=1e-5)


def test_timms_names_load_into_the_librarys_encoder_of_timm(tmp_path: Path) -> None:
    import timm

    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "x.pt")
    network = build("smp", width=64, classes=1, encoder="tu-resnet18")
    assert set(load_encoder_weights(tmp_path / "x.pt", "tu-resnet18")) == set(tensor_names(network)["encoder"])


def test_a_whole_unets_file_gives_its_encoder(tmp_path: Path) -> None:
    network = build("smp", width=64, classes=1, encoder="resnet18")
    torch.save({"state_dict": network.state_dict()}, tmp_path / "x.pt")
    found = load_encoder_weights(tmp_path / "x.pt", "resnet18")
    assert hash_of_tensors(found) == hash_of_tensors(trained_tensors(network, ("encoder",)))


def test_weights_of_another_encoder_are_refused_in_few_lines(tmp_path: Path) -> None:
    torch.save(torchvision_weights("resnet18"), tmp_path / "x.pt")
    with pytest.raises(WeightsError) as caught:
        load_encoder_weights(tmp_path / "x.pt", "resnet34")
    assert "x.pt: 'layer1.2.bn1.bias' is missing; encoder 'resnet34' has 64" in caught.value.problems
    assert len(caught.value.problems) == 9
    assert caught.value.problems[-1].endswith("tensors more; is it a file of 'resnet34'?")


def test_one_tensor_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    given = torchvision_weights("resnet18")
    given["layer1.0.conv1.weight"] = torch.zeros(64, 64, 1, 1)
    given["layer1.0.conv2.weight"][0] = torch.nan
    given["extra"] = torch.zeros(())
    torch.save(given, tmp_path / "x.pt")
    with pytest.raises(WeightsError) as caught:
        load_encoder_weights(tmp_path / "x.pt", "resnet18")
    assert caught.value.problems == (
        "x.pt: 'extra' is one number; encoder 'resnet18' has no such tensor",
        "x.pt: 'layer1.0.conv1.weight' is 64 x 64 x 1 x 1; encoder 'resnet18' has 64 x 64 x 3 x 3",
        "x.pt: 'layer1.0.conv2.weight' holds values that are not finite numbers; save it again",
    )


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("x.pt", b"hello", "x.pt cannot be read as a PyTorch state dict"),
        ("x.safetensors", b"hello", "x.safetensors cannot be read as safetensors"),
        ("x.pt", None, "x.pt: there is no such file"),
    ],
)
def test_a_file_that_holds_no_weights_is_refused(name: str, content: bytes | None, line: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        load_encoder_weights(tmp_path / name, "resnet18")
    assert line in caught.value.problems[0]


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(1, 1, 1), tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="a whole saved model would run its code, and is refused"):
        load_encoder_weights(tmp_path / "x.pt", "resnet18")
    torch.save([torch.zeros(1)], tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="holds no tensors by name"):
        load_encoder_weights(tmp_path / "x.pt", "resnet18")


def test_the_library_of_encoders_loads_only_where_it_is_needed() -> None:
    code = "import engine.models, sys; sys.exit('segmentation_models_pytorch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=False).returncode == 0
