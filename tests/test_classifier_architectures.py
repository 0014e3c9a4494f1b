"""Units, strategies and counts of the networks that tell classes apart."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from engine.architectures import (
    CLASSIFIER_STRATEGIES,
    CLASSIFIER_UNITS,
    CLASSIFIERS,
    cumulative_strategies,
    default_classes,
    default_crop,
    default_image_size,
    default_width,
    last_unit,
    normalised_units,
    parameters,
    parse_strategy,
    strategy_table,
    trainable_parameters,
    unit_names,
)
from engine.errors import StrategyError, StudyFileError
from whichlayers.cli import app

MODELS = tuple(CLASSIFIERS)


# Cheng and Malhi 2017 print the first two of each; Caffe's and torchvision's own models have the last ones
# (60,965,224 and 138,357,544 with ImageNet's 1,000 classes), timm's has 4,231,976.
@pytest.mark.parametrize(
    ("model", "classes", "strategy", "count"),
    [
        ("caffenet", 11, "whole network", 56_913_291),
        ("caffenet", 11, "FC6-8", 54_579_211),
        ("caffenet", 1000, "whole network", 60_965_224),
        ("vgg16", 11, "whole network", 134_305_611),
        ("vgg16", 11, "FC6-8", 119_590_923),
        ("vgg16", 1000, "whole network", 138_357_544),
        ("mobilenet", 1000, "whole network", 4_231_976),
        ("mobilenet", 11, "statistics only", 0),
        ("caffenet", 11, "from scratch", 56_913_291),
    ],
)
def test_counts_are_the_exact_ones(model: str, classes: int, strategy: str, count: int) -> None:
    found = parse_strategy(strategy, model)
    assert trainable_parameters(found, model, default_width(model), classes=classes) == count


def test_what_networks_are_by_default_is_the_papers() -> None:
    found = {
        model: (default_width(model), default_image_size(model), default_crop(model), default_classes(model))
        for model in ("unet", *MODELS)
    }
    assert found == {
        "unet": (64, 256, 0, 1),
        "caffenet": (96, 256, 227, 11),
        "vgg16": (64, 256, 224, 11),
        "mobilenet": (32, 256, 224, 7),
        "cvcnet": (32, 128, 0, 7),
    }


def test_units_go_from_input_to_output() -> None:
    assert unit_names("caffenet") == ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
    assert unit_names("vgg16")[:3] == ("conv1_1", "conv1_2", "conv2_1")
    assert unit_names("mobilenet") == ("stem", *(f"block{number}" for number in range(1, 14)), "head")
    assert unit_names("cvcnet") == ("stem", *(f"block{number}" for number in range(1, 9)), "head")
    assert [last_unit(model) for model in MODELS] == ["fc8", "fc8", "head", "head"]
    assert [len(normalised_units(model)) for model in MODELS] == [0, 0, 14, 9]
    with pytest.raises(StrategyError, match="unknown model 'vnet'"):
        unit_names("vnet")


def test_input_and_output_layers_are_the_first_and_last_third() -> None:
    for model, third in (("caffenet", 3), ("vgg16", 5), ("mobilenet", 5), ("cvcnet", 3)):
        order = unit_names(model)
        assert parse_strategy("input layers", model).units == order[:third]
        assert parse_strategy("output layers", model).units == order[-third:]


@pytest.mark.parametrize(
    ("text", "model", "name", "units"),
    [
        ("fc8", "caffenet", "FC8", "fc8"),
        ("last unit", "vgg16", "FC8", "fc8"),
        ("last 1 units", "mobilenet", "last unit", "head"),
        ("FC6-FC8", "vgg16", "FC6-8", "fc6 fc7 fc8"),
        ("output layers", "caffenet", "FC6-8", "fc6 fc7 fc8"),
        ("last 3 units", "caffenet", "FC6-8", "fc6 fc7 fc8"),
        ("conv5 + fc", "caffenet", "conv5 + FC", "conv5 fc6 fc7 fc8"),
        ("Conv5 + FC", "vgg16", "conv5 + FC", "conv5_1 conv5_2 conv5_3 fc6 fc7 fc8"),
        ("first 3 units", "cvcnet", "input layers", "stem block1 block2"),
        ("units conv1,conv2", "caffenet", "first 2 units", "conv1 conv2"),
        ("unit stem", "mobilenet", "first unit", "stem"),
        ("conv1-fc8", "caffenet", "whole network", "conv1 conv2 conv3 conv4 conv5 fc6 fc7 fc8"),
        ("last 8 units", "caffenet", "whole network", "conv1 conv2 conv3 conv4 conv5 fc6 fc7 fc8"),
        ("units fc8, conv1", "caffenet", "units conv1,fc8", "conv1 fc8"),
        ("block2-block3,head", "mobilenet", "units block2,block3,head", "block2 block3 head"),
        ("LoRA rank 2 on conv3-conv4", "caffenet", "LoRA rank 2 on units conv3,conv4", "conv3 conv4"),
    ],
)
def test_several_ways_to_write_a_strategy_lead_to_one_name(text: str, model: str, name: str, units: str) -> None:
    strategy = parse_strategy(text, model)
    assert (strategy.name, strategy.units) == (name, tuple(units.split()))
    assert parse_strategy(name, model) == strategy


@given(st.sampled_from(MODELS), st.data())
def test_the_first_and_the_last_units_share_the_network_out(model: str, data: st.DataObject) -> None:
    order = unit_names(model)
    count = data.draw(st.integers(1, len(order) - 1))
    first = parse_strategy(f"first {count} units", model)
    last = parse_strategy(f"last {len(order) - count} units", model)
    assert first.units + last.units == order
    learned = [trainable_parameters(one, model, 8, classes=7) for one in (first, last)]
    assert sum(learned) == sum(parameters(model, 8, classes=7).values())
    assert first in cumulative_strategies(model)
    assert last in cumulative_strategies(model)


def test_statistics_only_is_for_networks_with_normalisation() -> None:
    strategy = parse_strategy("statistics only", "mobilenet")
    assert (strategy.method, strategy.units) == ("statistics only", unit_names("mobilenet")[:-1])
    with pytest.raises(StrategyError, match="CaffeNet has no normalisation, so it keeps no statistics"):
        parse_strategy("Statistics only", "caffenet")
    with pytest.raises(StrategyError, match="'statistics only' is no set of units"):
        parse_strategy("LoRA rank 4 on statistics only", "mobilenet")


@pytest.mark.parametrize(
    ("text", "model", "line"),
    [
        ("FC9", "caffenet", "unknown strategy 'FC9'; did you mean 'FC8'?"),
        ("first 9 units", "caffenet", "'first k units' and 'last k units', k from 1 to 8"),
        ("FC8", "mobilenet", "unknown strategy 'FC8'"),
        ("smp U-Net", "vgg16", "unknown strategy 'smp U-Net'"),
        ("contracting", "cvcnet", "or any set of units such as 'units stem,block1' of stem, block1,"),
        ("fc8-conv1", "caffenet", "the range 'fc8-conv1' runs backwards; write the shallower unit first"),
        ("convolutions 1-3", "vgg16", "unknown strategy 'convolutions 1-3'"),
        ("LoRA rank 4 on FC6-8", "vgg16", "fully connected layers take no adapter"),
        ("LoRA rank 0", "vgg16", "'LoRA rank 4 on units conv1_1-conv2_1'"),
    ],
)
def test_a_strategy_that_means_nothing_is_refused_in_one_line(text: str, model: str, line: str) -> None:
    with pytest.raises(StrategyError) as caught:
        parse_strategy(text, model)
    assert len(caught.value.problems) == 1
    assert line in caught.value.problems[0]


def test_named_strategies_come_once_each() -> None:
    for model in MODELS:
        named = CLASSIFIER_STRATEGIES[model].values()
        assert len({(one.units, one.start, one.method) for one in named}) == len(named)
        rows = [row["strategy"] for row in strategy_table(model)]
        assert len(set(rows)) == len(rows)
        assert all(parse_strategy(str(name), model).name == name for name in rows)


def test_widths_keep_groups_valid() -> None:
    for width in (2, 8, 24, 30, 96):
        counts = parameters("caffenet", width, classes=7)
        assert tuple(counts) == CLASSIFIER_UNITS["caffenet"]
    with pytest.raises(StudyFileError, match="width 15: two groups of filters need an even number, such as 16"):
        parameters("caffenet", 15, classes=7)
    with pytest.raises(StudyFileError, match="2 classes at least"):
        parameters("vgg16", 4, classes=1)


def test_the_command_lists_a_classifiers_strategies() -> None:
    said = CliRunner().invoke(app, ["strategies", "--model", "vgg16", "--classes", "11", "--json"])
    rows = {row["strategy"]: row for row in json.loads(said.stdout)}
    assert rows["whole network"]["total_parameters"] == 134_305_611
    assert rows["FC6-8"]["trainable_parameters"] == 119_590_923
    assert rows["first 2 units"]["trainable_parameters"] == 38_720
    drawn = CliRunner().invoke(app, ["strategies", "--model", "caffenet", "--width", "24", "--classes", "5"])
    assert "caffenet, width 24, 5 classes" in drawn.stdout
