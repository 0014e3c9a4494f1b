"""Networks that tell classes apart: their counts, their chains, what is frozen and what may be computed once."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from engine.architectures import (
    CLASSIFIERS,
    default_classes,
    default_crop,
    default_image_size,
    default_width,
    parse_strategy,
    smallest_image_size,
    trainable_parameters,
    unit_names,
)
from engine.errors import StrategyError, StudyFileError
from engine.models import Classifier, build, check_network, unit_parameters
from engine.models import unit_names as built_names
from engine.strategies import (
    begin_epoch,
    freeze_all_but,
    frozen_hash,
    hash_of_tensors,
    prepare,
    tensor_names,
    trained_tensors,
)

SMALL = {"caffenet": 6, "vgg16": 2, "mobilenet": 2, "cvcnet": 4}
"""Widths that are quick to try."""
MODELS = tuple(SMALL)
CLASSES = 3


def small(model: str) -> Classifier:
    """A narrow network with random weights, always the same."""
    torch.manual_seed(0)
    network = build(model, width=SMALL[model], classes=CLASSES)
    assert isinstance(network, Classifier)
    return network


def some_images(model: str, count: int = 4) -> torch.Tensor:
    """Random images of the smallest side that the network sees."""
    side = smallest_image_size(model)
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(1))


def step(network: Classifier, learning: list[nn.Parameter], images: torch.Tensor) -> None:
    """One training step, where something learns; else only the passage of images."""
    truth = torch.arange(len(images)) % CLASSES
    loss = functional.cross_entropy(network(images), truth)
    if learning:
        for parameter in learning:
            parameter.grad = None
        torch.autograd.backward(loss)
        with torch.no_grad():
            for parameter in learning:
                parameter -= 1e-2 * torch.sign(parameter.grad)


@pytest.mark.parametrize("width", ["default", "small"])
@pytest.mark.parametrize("model", MODELS)
def test_counts_of_planning_are_those_of_the_built_network(model: str, width: str) -> None:
    filters = default_width(model) if width == "default" else SMALL[model]
    network = build(model, width=filters, classes=11)
    counts = {name: parameter.numel() for name, parameter in network.named_parameters()}
    built = {unit: sum(counts.get(name, 0) for name in own) for unit, own in tensor_names(network).items()}
    assert built == unit_parameters(model, width=filters, classes=11)
    assert tuple(built) == unit_names(model) == built_names(model)


@pytest.mark.parametrize("model", MODELS)
def test_a_network_is_the_chain_of_its_units(model: str) -> None:
    network, images = small(model).eval(), some_images(model)
    with torch.no_grad():
        logits = network(images)
        assert logits.shape == (len(images), CLASSES)
        for unit in network.unit_order:
            hidden = network.hidden_before(images, unit)
            assert torch.equal(network.logits_from(hidden, unit), logits)
            again, vectors = network.logits_and_embedding(hidden, unit)
            assert torch.equal(again, logits)
            assert torch.equal(vectors, network.embedding(images))
        assert torch.equal(network.logits_and_embedding(images)[0], logits)
    assert network.penultimate == unit_names(model)[-2]
    with pytest.raises(StrategyError, match="unknown unit 'fc9'; this network has"):
        network.hidden_before(images, "fc9")


def test_embeddings_are_what_the_last_layer_sees() -> None:
    for model in MODELS:
        network, images = small(model).eval(), some_images(model)
        last = network.get_submodule(network.unit_order[-1]).get_submodule("layer")
        assert isinstance(last, nn.Linear)
        vectors = network.embedding(images)
        assert vectors.shape == (len(images), last.in_features)
        assert torch.allclose(last(vectors), network(images))
        assert (vectors >= 0).all()  # after a ReLU


@pytest.mark.parametrize("model", MODELS)
def test_each_unit_stays_as_it_was_while_it_is_frozen_and_changes_while_it_learns(model: str) -> None:
    network, images = small(model), some_images(model)
    for unit in network.unit_order:
        learning = freeze_all_but(network, (unit,))
        before, own = frozen_hash(network, (unit,)), trained_tensors(network, (unit,))
        begin_epoch(network, (unit,), method="fine-tune", epoch=1, every=1)
        step(network, learning, images)
        assert frozen_hash(network, (unit,)) == before
        assert hash_of_tensors(trained_tensors(network, (unit,))) != hash_of_tensors(own)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("text", ["output layers", "last unit", "last 2 units", "input layers", "whole network"])
def test_what_is_computed_once_is_what_a_training_step_would_compute(model: str, text: str) -> None:
    network, images = small(model), some_images(model)
    units = parse_strategy(text, model).units
    prepare(network, units)
    begin_epoch(network, units, method="fine-tune", epoch=1, every=1)
    cut = network.cacheable_before(units)
    if text in ("input layers", "whole network"):
        assert cut is None
        return
    assert cut is not None
    with torch.no_grad():
        kept = network.hidden_before(images, cut)
        assert torch.equal(network.hidden_before(images, cut), kept)
        network.eval()
        assert torch.equal(network.hidden_before(images, cut), kept)


def test_dropout_stays_live_in_front_of_what_learns() -> None:
    network, images = small("caffenet"), some_images("caffenet")
    assert network.cacheable_before(("fc6", "fc7", "fc8")) == "fc6"
    assert network.cacheable_before(("conv5", "fc6", "fc7", "fc8")) == "conv5"
    # FC7 is frozen, but drops half of FC6's outputs in each step (Caffe's drop6).
    assert network.cacheable_before(("fc8",)) == "fc7"
    begin_epoch(network, ("fc8",), method="fine-tune", epoch=1, every=1)
    hidden = network.hidden_before(images, "fc7")
    assert not torch.equal(network.logits_from(hidden, "fc7"), network.logits_from(hidden, "fc7"))
    dropouts = {name: module.p for name, module in network.named_modules() if isinstance(module, nn.Dropout)}
    assert dropouts == {"fc7.dropout": 0.5, "fc8.dropout": 0.5}


def test_nothing_is_computed_once_before_statistics_that_move() -> None:
    assert small("mobilenet").cacheable_before(("head",)) == "head"
    assert small("mobilenet").cacheable_before(("head",), "update") is None
    assert small("caffenet").cacheable_before(("fc6",), "update") == "fc6"  # it has no statistics
    assert small("cvcnet").cacheable_before(()) is None


@pytest.mark.parametrize("model", ["mobilenet", "cvcnet"])
def test_frozen_statistics_are_held_or_updated_as_the_setting_says(model: str) -> None:
    network, images = small(model), some_images(model)
    learning = prepare(network, ("head",))
    held, parameters = frozen_hash(network, ("head",)), frozen_hash(network, ("head",), statistics="update")
    begin_epoch(network, ("head",), method="fine-tune", epoch=1, every=1)
    step(network, learning, images)
    assert frozen_hash(network, ("head",)) == held
    assert set(trained_tensors(network, ("head",))) == {"head.layer.weight", "head.layer.bias"}

    begin_epoch(network, ("head",), method="fine-tune", epoch=2, every=1, statistics="update")
    step(network, learning, images)
    assert frozen_hash(network, ("head",)) != held
    assert frozen_hash(network, ("head",), statistics="update") == parameters
    moved = trained_tensors(network, ("head",), "update")
    assert "stem.layer.normalisation.running_mean" in moved
    other = small(model).eval()
    other.load_state_dict(moved, strict=False)
    assert torch.equal(other(images), network.eval()(images))


def test_only_statistics_move_under_statistics_only() -> None:
    network, images = small("cvcnet"), some_images("cvcnet")
    strategy = parse_strategy("statistics only", "cvcnet")
    assert prepare(network, strategy.units, strategy.method) == []
    before = frozen_hash(network, strategy.units, strategy.method)
    whole = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    begin_epoch(network, strategy.units, method=strategy.method, epoch=1, every=1)
    step(network, [], images)
    assert frozen_hash(network, strategy.units, strategy.method) == before
    changed = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, whole[name])}
    assert {name.rpartition(".")[2] for name in changed} == {"running_mean", "running_var", "num_batches_tracked"}
    assert changed <= set(trained_tensors(network, strategy.units))
    with torch.no_grad():
        network.get_parameter("stem.layer.convolution.weight").add_(1e-3)
    assert frozen_hash(network, strategy.units, strategy.method) != before


def test_statistics_only_needs_statistics() -> None:
    with pytest.raises(StrategyError, match="the network has no normalisation that keeps statistics"):
        prepare(small("caffenet"), unit_names("caffenet"), "statistics only")


@pytest.mark.parametrize("model", MODELS)
def test_adapters_learn_as_many_parameters_as_planning_says(model: str) -> None:
    strategy = parse_strategy("LoRA rank 2", model)
    learning = prepare(small(model), strategy.units, strategy.method, strategy.rank)
    expected = trainable_parameters(strategy, model, SMALL[model], classes=CLASSES)
    assert sum(parameter.numel() for parameter in learning) == expected


@pytest.mark.parametrize("model", ["caffenet", "vgg16"])
def test_fc6_sees_the_last_map_as_it_is_at_the_default_size(model: str) -> None:
    network = small(model).eval()
    side = {"caffenet": 6, "vgg16": 7}[model]
    images = torch.rand(1, 1, default_crop(model), default_crop(model))
    assert network.hidden_before(images, "fc6").shape[-2:] == (side, side)
    assert network(torch.rand(1, 1, 160, 160)).shape == (1, CLASSES)  # others are pooled to it


def test_gray_is_repeated_and_scaled_as_the_start_weights_expect() -> None:
    images = some_images("vgg16")
    mean, spread = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (images.expand(-1, 3, -1, -1) - mean[:, None, None]) / spread[:, None, None]
    network = small("vgg16")
    assert torch.allclose(network.hidden_before(images, "conv1_1"), expected)
    network.mean_subtracted = True  # of a mean image, by the caller: the spread alone applies
    assert torch.allclose(
        network.hidden_before(images, "conv1_1"), images.expand(-1, 3, -1, -1) / spread[:, None, None]
    )
    assert torch.equal(small("cvcnet").hidden_before(images, "stem"), images)


def test_checks_pass_at_default_sizes_and_refuse_what_is_too_small() -> None:
    for model in MODELS:
        side = default_crop(model) or default_image_size(model)
        check_network(model, image_size=side, width=SMALL[model], classes=default_classes(model))
        too_small = smallest_image_size(model) - 1
        with pytest.raises(StudyFileError, match=f"images of {too_small} x {too_small} pixels are too small"):
            build(model, width=SMALL[model], classes=CLASSES, image_size=too_small)


def test_the_reconstruction_is_called_so() -> None:
    import engine.models.cvcnet as cvcnet

    assert "reconstruction" in CLASSIFIERS["cvcnet"].title
    assert "reconstruction" in str(cvcnet.__doc__)
    module = small("cvcnet").get_submodule("block1")[0]  # type: ignore[index]
    hidden = torch.rand(1, 4, 8, 8)
    assert torch.equal(module.eval()(hidden)[:, :4], hidden)  # dense: what comes in goes out too
