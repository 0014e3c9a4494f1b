"""What tests of a store in a bucket need: a planned study, the bucket behind a store, patience."""

import time
from typing import Any

from engine.store import Store
from engine.store.s3 import Bucket
from tests.made import trial


def begin(store: Store, study: str = "s") -> None:
    """A study with two planned trials."""
    store.begin(study, f"name: {study}")
    store.write_plan(study, [trial(fold=0), trial(fold=1)], {"question": "?"})


def bucket(store: Store) -> Bucket:
    assert isinstance(store.files.place, Bucket)
    return store.files.place


def until(happened: Any, seconds: float = 60.0) -> None:
    """Waits; fails after a minute."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
