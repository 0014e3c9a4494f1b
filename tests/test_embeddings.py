"""Maps of embeddings: seeded, kept, and honest about what they cannot show."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save, save_file

from engine import embeddings
from engine.embeddings import (
    Embedding,
    embedding_map,
    find_map,
    fitting_perplexity,
    map_name,
    read_embedding,
    reduce,
    stored_map,
)
from engine.errors import DataError, StoreError, StudyFileError
from engine.store import Store


def clouds(images: int = 120, dimension: int = 64, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Vectors around a centre per class, and the classes."""
    random = np.random.default_rng(0)
    labels = np.arange(images) % classes
    centres = random.normal(0, 4, (classes, dimension))
    return (centres[labels] + random.normal(0, 1, (images, dimension))).astype(np.float16), labels


def tensors(features: np.ndarray) -> dict[str, np.ndarray]:
    """An embedding file's tensors: the places count down, the parts go round."""
    images = len(features)
    return {
        "features": features.astype(np.float16),
        "index": np.arange(images, dtype=np.int32)[::-1].copy(),
        "part": (np.arange(images) % 3).astype(np.uint8),
    }


def neighbours_alike(places: np.ndarray, labels: np.ndarray) -> float:
    """Part of the points whose nearest neighbour is of their class."""
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    return float((labels[distance.argmin(axis=1)] == labels).mean())


def test_classes_that_are_apart_in_the_vectors_are_apart_in_the_map() -> None:
    features, labels = clouds()
    places = embedding_map(features, threads=1)
    assert places.shape == (120, 2)
    assert places.dtype == np.float32
    assert neighbours_alike(places, labels) > 0.95
    assert neighbours_alike(places, np.random.default_rng(1).permutation(labels)) < 0.6


@pytest.mark.slow
def test_umap_keeps_classes_apart_too_and_the_same_seed_gives_the_same_places() -> None:
    features, labels = clouds()
    places = embedding_map(features, "UMAP", seed=3)
    assert neighbours_alike(places, labels) > 0.95
    np.testing.assert_array_equal(places, embedding_map(features, "UMAP", seed=3))


def test_the_same_seed_gives_the_same_places() -> None:
    features, _ = clouds(40)
    first = embedding_map(features, seed=1, perplexity=5.0, threads=1)
    np.testing.assert_array_equal(first, embedding_map(features, seed=1, perplexity=5.0, threads=1))


def test_components_are_orthogonal_and_ordered_and_keep_distances() -> None:
    features, _ = clouds(60, 30)
    reduced = reduce(features, 30)
    covariance = np.cov(reduced.T)
    assert (np.diff(np.diag(covariance)) < 1e-3).all()
    np.testing.assert_allclose(covariance - np.diag(np.diag(covariance)), 0, atol=1e-2)
    wanted = np.linalg.norm(features[0].astype(float) - features[7].astype(float))
    assert np.linalg.norm(reduced[0] - reduced[7]) == pytest.approx(wanted, rel=1e-3)
    np.testing.assert_array_equal(reduce(features, 5, seed=2), reduce(features, 5, seed=2))


@pytest.mark.parametrize(
    ("images", "wanted", "used"), [(100, 30.0, 30), (40, 30.0, 13), (4, 30.0, 1), (3, 30.0, 0), (0, 5.0, 0)]
)
def test_perplexity_is_what_so_few_images_allow(images: int, wanted: float, used: float) -> None:
    assert fitting_perplexity(images, wanted) == used


def test_a_perplexity_below_one_is_a_mistake() -> None:
    with pytest.raises(StudyFileError, match=r"perplexity 0\.5: expected 1 or more"):
        fitting_perplexity(100, 0.5)


@pytest.mark.parametrize("images", [0, 1, 2, 3])
def test_few_images_have_their_first_components_as_a_map(images: int) -> None:
    places = embedding_map(clouds(12)[0][:images])
    assert places.shape == (images, 2)
    assert np.isfinite(places).all()


@pytest.mark.parametrize("images", [4, 5, 8])
def test_a_handful_of_images_has_a_map(images: int) -> None:
    assert np.isfinite(embedding_map(clouds(12)[0][:images], threads=1)).all()


def test_vectors_that_are_all_the_same_lie_at_one_place() -> None:
    assert not embedding_map(np.full((20, 8), 3.0, np.float16)).any()


def test_one_dimension_has_a_map() -> None:
    places = embedding_map(np.arange(30, dtype=np.float16)[:, None], perplexity=3.0, threads=1)
    assert np.isfinite(places).all()


def test_numbers_that_are_not_finite_are_named() -> None:
    features, _ = clouds(20)
    features[[2, 5], 3] = np.nan, np.inf
    with pytest.raises(DataError, match="2 of 20 vectors hold numbers that are not finite"):
        embedding_map(features)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.at(tmp_path / "results")
    store.write_embedding("views", "a" * 64, save(tensors(clouds(40)[0])))
    return store


def test_a_map_is_made_once_and_found_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_map(store, "views", "a" * 64) is None
    heard: list[tuple[float, str]] = []
    made = stored_map(store, "views", "a" * 64, threads=1, progress=lambda part, text: heard.append((part, text)))
    parts = [part for part, _ in heard]
    assert parts == sorted(parts)
    assert heard[-1] == (1.0, "kept")
    monkeypatch.setattr(embeddings, "embedding_map", lambda *arguments, **options: pytest.fail("made twice"))
    again = stored_map(store, "views", "a" * 64)
    np.testing.assert_array_equal(again.places, made.places)
    np.testing.assert_array_equal(again.index, np.arange(40)[::-1])
    assert again.part.tolist()[:4] == [0, 1, 2, 0]
    assert (again.method, again.seed, again.perplexity) == ("t-SNE", 0, 13.0)
    assert again.note == "perplexity 13 in place of 30: 40 images allow no more"


def test_another_recipe_is_another_map(store: Store) -> None:
    names = {
        map_name("a" * 64),
        map_name("b" * 64),
        map_name("a" * 64, "UMAP"),
        map_name("a" * 64, seed=1),
        map_name("a" * 64, perplexity=5.0),
    }
    assert len(names) == 5
    stored_map(store, "views", "a" * 64, perplexity=5.0, threads=1)
    assert find_map(store, "views", "a" * 64) is None


def test_a_map_that_is_cut_off_is_made_again(store: Store) -> None:
    made = stored_map(store, "views", "a" * 64, perplexity=5.0, threads=1)
    name = f"views/{map_name('a' * 64, perplexity=5.0)}"
    content = store.files.read(name)
    assert content is not None
    for damaged in (b"", b"no map", content[: len(content) // 2]):
        store.files.write(name, damaged)
        assert find_map(store, "views", "a" * 64, perplexity=5.0) is None
    np.testing.assert_array_equal(stored_map(store, "views", "a" * 64, perplexity=5.0, threads=1).index, made.index)


def test_a_trial_without_an_embedding_is_said_to_have_none(store: Store) -> None:
    with pytest.raises(StoreError, match="are not in the store"):
        stored_map(store, "views", "b" * 64)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"index": np.arange(3, dtype=np.int64)}, "an embedding holds features, index, part of equal length"),
        ({"features": np.ones((2, 4), np.float16)}, "an embedding holds features, index, part of equal length"),
        ({"part": np.array([0, 1, 7], np.uint8)}, "part 7 is none of 0 to 2"),
        ({"features": np.full((3, 4), np.nan, np.float16)}, "3 of 3 vectors hold numbers that are not finite"),
    ],
)
def test_a_file_that_is_no_embedding_is_named(tmp_path: Path, changes: dict[str, np.ndarray], said: str) -> None:
    save_file(tensors(np.ones((3, 4))) | changes, tmp_path / "x.safetensors")
    with pytest.raises(DataError, match=said) as raised:
        read_embedding(tmp_path / "x.safetensors")
    assert str(raised.value).startswith(str(tmp_path / "x.safetensors"))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read as an embedding"):
        read_embedding(tmp_path / "x.safetensors")
    save_file(tensors(np.ones((3, 4))), tmp_path / "y.safetensors")
    assert isinstance(read_embedding(tmp_path / "y.safetensors"), Embedding)
