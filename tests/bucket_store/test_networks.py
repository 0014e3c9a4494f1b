"""Live's networks of a store in a bucket: they follow it, and answer on while it is away."""

import threading
from pathlib import Path

import pytest
from safetensors.torch import save

from dashboard.inference import networks
from dashboard.inference.networks import Networks
from engine.errors import StoreError
from engine.store import Store
from tests.bucket import S3Server
from tests.bucket_store.made import until
from tests.trained_store import STUDY, TrainedStore, brightness_network

pytestmark = pytest.mark.filterwarnings("default")  # the server's own warnings are not ours to fix


def looks_ended() -> None:
    for thread in threading.enumerate():
        if thread.name == "weights in the bucket":
            thread.join()


def test_a_network_follows_its_file_in_the_bucket_and_outlasts_its_absence(
    server: S3Server, store: Store, trained: TrainedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in Path(trained.root).rglob("*"):
        if file.is_file():
            store.files.write(str(file.relative_to(trained.root)), file.read_bytes())
    monkeypatch.setattr(networks, "BUCKET_SECONDS", 0.0)
    loaded, key = Networks(store, tmp_path / "cache"), (STUDY, trained.scratch.id)
    first = loaded[key]
    looks_ended()
    assert loaded[key] is first

    server.stop()
    try:
        assert loaded[key] is first
        looks_ended()
        assert loaded[key] is first
    finally:
        server.start()
    looks_ended()
    assert loaded[key] is first

    weights = f"{STUDY}/weights/{trained.scratch.id}.safetensors"
    store.files.write(weights, save(brightness_network(darker=True), {"turned": "yes"}))
    until(lambda: loaded[key] is not first)
    second = loaded[key]

    store.files.delete(weights)

    def is_gone() -> bool:
        try:
            return loaded[key] is not second
        except StoreError:
            return True

    until(is_gone)
    with pytest.raises(StoreError, match="are not in the store"):
        loaded[key]
