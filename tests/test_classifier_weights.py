"""Start weights of classifiers: names of others, shapes, and what is refused."""

from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from engine.errors import WeightsError
from engine.models import Classifier, build
from engine.models.classifier_weights import library_weights, load_classifier_weights
from engine.models.weights_file import file_sha256

CLASSES = 5
CAFFE_MEAN = (104.00698793, 116.66876762, 122.67891434)
"""Blue, green, red: the mean over ilsvrc_2012_mean.npy, which comes with Caffe."""


def loaded(model: str, width: int, path: Path) -> Classifier:
    """Our network with the file's weights, its last unit too."""
    network = build(model, width=width, classes=CLASSES)
    assert isinstance(network, Classifier)
    network.load_state_dict(load_classifier_weights(path, model, width, CLASSES))
    return network.eval()


def caffe_file(path: Path, width: int = 12) -> dict[str, torch.Tensor]:
    """A file with random weights under Caffe's names, and its tensors; width 12 is an eighth of the model's."""
    torch.manual_seed(0)
    shapes = {
        "conv1": (12, 3, 11, 11), "conv2": (32, 6, 5, 5), "conv3": (48, 32, 3, 3), "conv4": (48, 24, 3, 3),
        "conv5": (32, 24, 3, 3), "fc6": (512, 32 * 36), "fc7": (512, 512), "fc8": (CLASSES, 512),
    }  # fmt: skip
    given = {}
    for name, shape in shapes.items():
        fan = torch.Size(shape[1:]).numel()
        given[f"{name}.weight"] = torch.randn(shape) * (2 / fan) ** 0.5
        given[f"{name}.bias"] = torch.randn(shape[0]) * 0.1
    torch.save(given, path)
    return given


def caffes_output(given: dict[str, torch.Tensor], gray: torch.Tensor) -> torch.Tensor:
    """What Caffe's reference model says of gray images in [0, 1], layer by layer as its prototxt has them."""
    hidden = gray.expand(-1, 3, -1, -1) * 255 - torch.tensor(CAFFE_MEAN)[:, None, None]

    def convolve(name: str, hidden: torch.Tensor, **settings: int) -> torch.Tensor:
        return functional.conv2d(hidden, given[f"{name}.weight"], given[f"{name}.bias"], **settings).relu()

    def normalise(hidden: torch.Tensor) -> torch.Tensor:
        squares = functional.pad(hidden**2, (0, 0, 0, 0, 2, 2))
        total = torch.stack([squares[:, place : place + hidden.shape[1]] for place in range(5)]).sum(0)
        return hidden / (1 + 1e-4 / 5 * total) ** 0.75

    def pool(hidden: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(hidden, 3, 2)

    hidden = normalise(pool(convolve("conv1", hidden, stride=4)))
    hidden = normalise(pool(convolve("conv2", hidden, padding=2, groups=2)))
    hidden = convolve("conv4", convolve("conv3", hidden, padding=1), padding=1, groups=2)
    hidden = pool(convolve("conv5", hidden, padding=1, groups=2)).flatten(1)
    for name in ("fc6", "fc7"):
        hidden = functional.linear(hidden, given[f"{name}.weight"], given[f"{name}.bias"]).relu()
    return functional.linear(hidden, given["fc8.weight"], given["fc8.bias"])


def test_caffes_weights_say_what_they_said_in_caffe(tmp_path: Path) -> None:
    given = caffe_file(tmp_path / "caffe.pt")
    images = torch.rand(2, 1, 227, 227)
    with torch.no_grad():
        network, expected = loaded("caffenet", 12, tmp_path / "caffe.pt"), caffes_output(given, images)
        assert torch.allclose(network(images), expected, rtol=1e-4, atol=1e-3 * expected.abs().max().item())
        # A mean image subtracted by the caller takes the place of Caffe's mean colours.
        network.mean_subtracted = True
        mean = torch.tensor(CAFFE_MEAN).mean().item() / 255
        given["conv1.weight"] = given["conv1.weight"].sum(1, keepdim=True).expand(-1, 3, -1, -1) / 3
        expected = caffes_output(given, images)
        assert torch.allclose(network(images - mean), expected, rtol=1e-4, atol=1e-3 * expected.abs().max().item())


def test_caffes_names_come_with_and_without_the_parts_of_a_conversion(tmp_path: Path) -> None:
    given = caffe_file(tmp_path / "plain.pt")
    renamed = {
        f"{'features' if name.startswith('conv') else 'classifier'}.{name}": tensor for name, tensor in given.items()
    }
    save_file(renamed, tmp_path / "parts.safetensors")
    first, second = (
        load_classifier_weights(tmp_path / name, "caffenet", 12, CLASSES) for name in ("plain.pt", "parts.safetensors")
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def small_vgg(width: int) -> nn.Module:
    """torchvision's VGG16 with other widths: its own convolutions, and its other modules by their names there."""
    from torchvision.models.vgg import cfgs, make_layers

    layers = [size if isinstance(size, str) else size * width // 64 for size in cfgs["D"]]
    hidden = 64 * width
    classifier = nn.Sequential(
        *(nn.Linear(8 * width * 49, hidden), nn.ReLU(), nn.Dropout()),
        *(nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout()),
        nn.Linear(hidden, CLASSES),
    )
    parts = {"features": make_layers(layers), "avgpool": nn.AdaptiveAvgPool2d(7), "flat": nn.Flatten()}
    network = nn.Sequential(OrderedDict({**parts, "classifier": classifier}))
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return network.eval()


def test_torchvisions_vgg16_says_the_same_in_ours(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = small_vgg(2)
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "vgg.pt")
    for side in (64, 224):
        images = torch.rand(1, 1, side, side)
        mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        with torch.no_grad():
            expected = theirs((images.expand(-1, 3, -1, -1) - mean[:, None, None]) / spread[:, None, None])
            assert torch.allclose(loaded("vgg16", 2, tmp_path / "vgg.pt")(images), expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def timms(tmp_path_factory: pytest.TempPathFactory) -> tuple[nn.Module, Path]:
    """timm's MobileNet v1 with random weights and statistics, and its file."""
    import timm

    torch.manual_seed(0)
    network = timm.create_model("mobilenetv1_100", num_classes=CLASSES)
    with torch.no_grad():
        network.train()(torch.rand(4, 3, 64, 64))
    path = tmp_path_factory.mktemp("timm") / "mobilenet.safetensors"
    save_file(network.state_dict(), path)
    return network.eval(), path


def test_timms_mobilenet_says_the_same_in_ours(timms: tuple[nn.Module, Path]) -> None:
    theirs, path = timms
    images = torch.rand(2, 1, 96, 96)
    with torch.no_grad():
        expected = theirs((images.expand(-1, 3, -1, -1) - 0.5) / 0.5)
        assert torch.allclose(loaded("mobilenet", 32, path)(images), expected, rtol=1e-3, atol=1e-5)


def test_our_own_files_come_back_as_they_are(tmp_path: Path) -> None:
    for model, width in (("caffenet", 6), ("cvcnet", 4)):
        network = build(model, width=width, classes=CLASSES)
        save_file(network.state_dict(), tmp_path / "own.safetensors")
        found = load_classifier_weights(tmp_path / "own.safetensors", model, width, CLASSES)
        assert all(torch.equal(found[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("classes", [None, 7])
def test_an_output_layer_for_other_classes_is_left_out(classes: int | None, tmp_path: Path) -> None:
    given = caffe_file(tmp_path / "caffe.pt")
    found = load_classifier_weights(tmp_path / "caffe.pt", "caffenet", 12, classes)
    assert not [name for name in found if name.startswith("fc8.")]
    assert len(found) == len(given) - 2
    del given["fc8.weight"], given["fc8.bias"]
    torch.save(given, tmp_path / "without.pt")
    assert load_classifier_weights(tmp_path / "without.pt", "caffenet", 12, CLASSES).keys() == found.keys()


def test_each_tensor_that_does_not_fit_is_one_line_with_the_files_name(tmp_path: Path) -> None:
    given = caffe_file(tmp_path / "caffe.pt")
    given["conv2.weight"] = given["conv2.weight"][:, :3]
    given["fc7.bias"][0] = torch.inf
    given["fc8.weight"] = given["fc8.weight"][:, :10]
    del given["conv3.bias"]
    given["extra"] = torch.zeros(2)
    torch.save(given, tmp_path / "caffe.pt")
    with pytest.raises(WeightsError) as caught:
        load_classifier_weights(tmp_path / "caffe.pt", "caffenet", 12, 7)
    assert caught.value.problems == (
        "caffe.pt: 'conv2.weight' is 32 x 3 x 5 x 5; caffenet of width 12 has 32 x 6 x 5 x 5",
        "caffe.pt: 'conv3.layer.bias' is missing; caffenet of width 12 has 48",
        "caffe.pt: 'extra' is 2; caffenet of width 12 has no such tensor",
        "caffe.pt: 'fc8.weight' is 5 x 10; caffenet of width 12 has no such tensor",
        "caffe.pt: 'fc7.bias' holds values that are not finite numbers; save it again",
    )


def test_weights_of_another_width_are_refused_in_few_lines(timms: tuple[nn.Module, Path]) -> None:
    with pytest.raises(WeightsError) as caught:
        load_classifier_weights(timms[1], "mobilenet", 8, CLASSES)
    assert len(caught.value.problems) == 9
    assert caught.value.problems[-1].endswith("tensors more; is it a file of mobilenet of width 8?")


def test_torchvisions_alexnet_is_not_caffenet(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(64, 3, 11, 11)}, tmp_path / "alexnet.pt")
    with pytest.raises(WeightsError, match=r"alexnet.pt: torchvision's AlexNet is not CaffeNet"):
        load_classifier_weights(tmp_path / "alexnet.pt", "caffenet", 96)


def test_a_file_that_would_run_code_or_is_not_there_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "model.pt")
    with pytest.raises(WeightsError, match="a whole saved model would run its code, and is refused"):
        load_classifier_weights(tmp_path / "model.pt", "vgg16", 64)
    with pytest.raises(WeightsError, match=r"none.pt: there is no such file; 'start_weights.file' names one"):
        load_classifier_weights(tmp_path / "none.pt", "vgg16", 64)


def test_a_files_checksum_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    # printf abc | sha256sum
    assert file_sha256(tmp_path / "x") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_librarys_weights_come_from_its_cache_without_a_network(
    timms: tuple[nn.Module, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models--timm--mobilenetv1_100.ra4_e3600_r224_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / "model.safetensors").write_bytes(timms[1].read_bytes())
    no_network(monkeypatch, tmp_path)
    found = library_weights("mobilenet")
    assert torch.equal(found["stem.layer.convolution.weight"], timms[0].state_dict()["conv_stem.weight"])
    assert not [name for name in found if name.startswith("head.")]


@pytest.mark.parametrize(("model", "library"), [("vgg16", "torchvision"), ("mobilenet", "timm")])
def test_a_library_that_cannot_be_reached_is_one_line_with_the_remedy(
    model: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_network(monkeypatch, tmp_path)
    with pytest.raises(WeightsError) as caught:
        library_weights(model)
    (line,) = caught.value.problems
    assert line.startswith(f"start_weights 'library': {library}'s weights of {model} cannot be loaded on this machine")
    assert line.endswith("give them with 'kind: file', or choose 'kind: formula-driven images'")


def no_network(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Empty caches, and a network behind a proxy that nobody answers at."""
    monkeypatch.setenv("TORCH_HOME", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("model", "width", "line"),
    [
        ("caffenet", None, "torchvision's AlexNet is not CaffeNet: no library has weights of CaffeNet; give a file"),
        ("cvcnet", None, "no library has weights of CVCNet (our reconstruction); give a file"),
        ("vgg16", 16, "the weights of vgg16 are for width 64, not 16; write 'width: 64'"),
    ],
)
def test_a_library_without_such_weights_is_one_line(model: str, width: int | None, line: str) -> None:
    with pytest.raises(WeightsError) as caught:
        library_weights(model, width)
    assert line in caught.value.problems[0]
