"""Formula-driven classes: seeded, visible, and more alike within a class than between classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from engine import formula_images as module
from engine.formula_images import FILLED, LARGEST, formula_class, formula_image, formula_images


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), label=st.integers(0, 2000), size=st.sampled_from([16, 48, 64]))
def test_every_class_contracts_and_can_be_seen(seed: int, label: int, size: int) -> None:
    system = formula_class(seed, label)
    assert np.linalg.norm(system.matrices, ord=2, axis=(1, 2)).max() <= LARGEST + 1e-5
    image = formula_image(system, size, seed, label, 0)
    assert image.shape == (size, size)
    assert image.std() > 3


def test_an_image_depends_on_seed_class_and_number_and_not_on_how_many_are_made() -> None:
    few, labels = formula_images(2, 3, 32, seed=4)
    more, _ = formula_images(3, 5, 32, seed=4)
    assert labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(few.reshape(2, 3, 32, 32), more.reshape(3, 5, 32, 32)[:2, :3])
    assert not np.array_equal(few, formula_images(2, 3, 32, seed=5)[0])
    assert len(np.unique(few.reshape(6, -1), axis=0)) == 6


def test_progress_hears_the_part_done() -> None:
    heard: list[float] = []
    formula_images(4, 1, 16, 0, progress=heard.append)
    assert heard == [0.25, 0.5, 0.75, 1.0]


def shape(label: int, number: int) -> np.ndarray:
    """The attractor of an instance as it lies, in its box, before ground and rendering."""
    random = np.random.default_rng([0, label, number + 1])
    points, _ = module._attractor(module._changed(random, formula_class(0, label)), 4096, random)
    flat = points.reshape(2, -1)
    low, high = flat.min(axis=1, keepdims=True), flat.max(axis=1, keepdims=True)
    column, row = np.minimum((flat - low) / (high - low) * 24, 23).astype(int)
    seen = np.zeros((24, 24))
    seen[row, column] = 1
    return ndimage.gaussian_filter(seen, 1.0)


def apart(shapes: np.ndarray) -> tuple[float, float]:
    """Median distance between instances of a class, and between classes."""
    between = np.linalg.norm(shapes[:, None, :, None] - shapes[None, :, None, :], axis=(-1, -2))
    same = np.eye(len(shapes), dtype=bool)
    own = between[same]
    return float(np.median(own[own > 0])), float(np.median(between[~same]))


def test_classes_differ_more_than_their_instances() -> None:
    within, between = apart(np.array([[shape(label, number) for number in range(4)] for label in range(12)]))
    assert within < 0.75 * between


def test_the_comparison_of_classes_fails_for_mixed_up_labels() -> None:
    mixed = np.array([[shape(label + number, number) for number in range(4)] for label in range(12)])
    within, between = apart(mixed)
    assert within > 0.9 * between


def test_a_sparse_attractor_is_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    line = module.System(
        matrices=np.array([np.diag([0.5, 0.45])] * 2, np.float32), offsets=np.array([[-1, -1], [1, 1]], np.float32)
    )
    drawn = iter([line, module._system(np.random.default_rng(1))])
    monkeypatch.setattr(module, "_system", lambda random: next(drawn))
    monkeypatch.setattr(module, "FILLED", (FILLED[0], 1.0))
    assert formula_class(0, 0) is not line


def test_images_are_gray_and_not_two_values() -> None:
    images, _ = formula_images(6, 4, 64, seed=1)
    assert min(len(np.unique(image)) for image in images) > 40
    clipped = np.mean((images == 0) | (images == 255))
    assert clipped < 0.02
