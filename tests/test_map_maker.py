"""The process that makes maps, and what pages hear of it; frames by address."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboard import map_maker, thumbnails
from dashboard.map_maker import Making, MapMaker, MapTask
from engine.embeddings import find_map
from engine.store import Store
from tests.made_classification import keep, made_views


def task(trial_id: str = "a" * 64) -> MapTask:
    return MapTask(study="views", trial_id=trial_id, method="t-SNE", seed=0, perplexity=5.0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.at(tmp_path / "results")
    random = np.random.default_rng(0)
    tensors = {
        "features": random.normal(0, 1, (3, 16)).astype(np.float16),
        "index": np.arange(3, dtype=np.int32),
        "part": np.zeros(3, np.uint8),
    }
    store.write_embedding("views", "a" * 64, save(tensors))
    return store


def until(heard: Callable[[], Making]) -> Making:
    """What the maker says once it ended."""
    for _ in range(600):
        now = heard()
        if now.done or now.error:
            return now
        time.sleep(0.1)
    raise AssertionError(now)


def test_a_map_is_made_by_another_process_and_nobody_waits_for_it(store: Store) -> None:
    maker = MapMaker(store.files.root)
    begun = time.monotonic()
    assert not maker.ask(task()).done
    assert time.monotonic() - begun < 0.5
    found = until(lambda: maker.ask(task()))
    assert (found.done, found.part, found.error) == (True, 1.0, "")
    assert find_map(store, "views", "a" * 64, perplexity=5.0) is not None


def test_what_is_in_the_way_is_said_and_can_be_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    maker = MapMaker(store.files.root)
    found = until(lambda: maker.ask(task("b" * 64)))
    assert "are not in the store; run the study again" in found.error
    assert maker.ask(task("b" * 64)) == found
    monkeypatch.setattr(map_maker, "_START", "import sys; sys.exit(3)")
    maker.forget(task("b" * 64))
    assert "ended with 3" in until(lambda: maker.ask(task("b" * 64))).error


def test_the_page_loads_nothing_of_what_makes_maps() -> None:
    import subprocess
    import sys

    code = (
        "import dashboard.views.embedding_map, sys; "
        "sys.exit(any(name in sys.modules for name in ('openTSNE', 'umap', 'numba', 'sklearn')))"
    )
    root = Path(__file__).resolve().parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False, capture_output=True).returncode == 0


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[TestClient, str]:
    views = made_views(patients=2, frames=1)
    keep(views, tmp_path / "cache")
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(tmp_path / "cache"))
    thumbnails._thumbnail.cache_clear()
    return TestClient(Starlette(routes=thumbnails.routes("/layers"))), views.fingerprint


def test_a_frame_has_an_address(pictures: tuple[TestClient, str]) -> None:
    client, fingerprint = pictures
    assert thumbnails.address(fingerprint) == f"/layers/thumbnails/{fingerprint}"
    answer = client.get(f"/layers/thumbnails/{fingerprint}/3.jpg")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    picture = Image.open(io.BytesIO(answer.content))
    assert (picture.format, picture.size, picture.mode) == ("JPEG", (224, 224), "L")


@pytest.mark.parametrize("name", ["{0}/99.jpg", "{1}/0.jpg", "{0}/-1.jpg", "..%2F..%2Fetc/0.jpg", "{0}/x.jpg"])
def test_what_is_no_frame_is_not_found(pictures: tuple[TestClient, str], name: str) -> None:
    client, fingerprint = pictures
    assert client.get(f"/layers/thumbnails/{name.format(fingerprint, 'f' * 64)}").status_code == 404
