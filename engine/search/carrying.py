"""Data carried from the node of a run to the others, once each: content-addressed files that workers map."""

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from engine.errors import DataError
from engine.store import node_cache
from engine.store.files import alone

CHUNK_BYTES = 4 * 2**20
"""What travels at once: small beside Ray's object store, which is small in containers."""
COMPARED_BYTES = 2**20
"""Smaller files are compared by content; larger ones never change under their name."""
AT_ONCE = 8
"""Nodes that are served at the same time."""


class Carrier:
    """Reads files of one cache for other nodes; an actor on the node of the run, which ends with it."""

    def __init__(self, cache: str, names: list[str]) -> None:
        self._cache = Path(cache)
        self._names = names
        self._digests: dict[str, str] = {}

    def told(self) -> list[tuple[str, int, str]]:
        """(name, bytes, SHA-256) of each file, in the order in which they are to be written."""
        for name in self._names:
            if name not in self._digests:
                self._digests[name] = _digest(self._cache / name)
        return [(name, (self._cache / name).stat().st_size, self._digests[name]) for name in self._names]

    def part(self, name: str, first: int) -> bytes:
        """Up to `CHUNK_BYTES` of a file from byte `first` on."""
        if name not in self._names:
            raise ValueError(name)
        with (self._cache / name).open("rb") as file:
            file.seek(first)
            return file.read(CHUNK_BYTES)


@contextmanager
def carried(cache: Path, fingerprint: str, others: Iterable[str]) -> Iterator[dict[str, str]]:
    """Serves the data set and other files of this node's cache; gives what `cache_here` must know."""
    node = ray.get_runtime_context().get_node_id()
    name = f"whichlayers-{uuid.uuid4().hex}"
    where = NodeAffinitySchedulingStrategy(node, soft=False)
    actor = ray.remote(num_cpus=0, max_concurrency=AT_ONCE)(Carrier).options(name=name, scheduling_strategy=where)
    served = actor.remote(str(cache), [*_data_files(cache, fingerprint), *others])
    try:
        yield {"node": node, "carrier": name}
    finally:
        with suppress(Exception):  # Ray may be gone already
            ray.kill(served)


def _data_files(cache: Path, fingerprint: str) -> list[str]:
    """Names of the files of a data set, what tells of the others last."""
    found = (path for path in (cache / "data" / fingerprint).iterdir() if not path.name.startswith("."))
    names = sorted((path.name for path in found), key=lambda name: (name == "about.json", name))
    return [f"data/{fingerprint}/{name}" for name in names]


def cache_here(work: Mapping[str, Any]) -> Path:
    """The cache of this worker's node, with the run's data in it. Raises DataError where they cannot be had."""
    if "carrier" not in work or ray.get_runtime_context().get_node_id() == work["node"]:
        return Path(work["cache"])
    return _fetched(work["carrier"])


@lru_cache(maxsize=1)
def _fetched(carrier: str) -> Path:
    actor, cache = ray.get_actor(carrier), node_cache()
    for name, size, digest in ray.get(actor.told.remote()):
        target = cache / name
        with alone(cache, name):
            if not _is_there(target, size, digest):
                _fetch(actor, name, target, digest)
    return cache


def _fetch(actor: Any, name: str, target: Path, digest: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside, found = target.with_name(f".{target.name}.{uuid.uuid4().hex}"), hashlib.sha256()
    try:
        with aside.open("wb") as file:
            while part := ray.get(actor.part.remote(name, file.tell())):
                found.update(part)
                file.write(part)
        if found.hexdigest() != digest:
            raise DataError(f"{name}: changed while it was carried to {os.uname().nodename}; run the study again")
        aside.replace(target)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written on {os.uname().nodename} ({error.strerror}); set WHICHLAYERS_CACHE there"
        ) from error
    finally:
        with suppress(OSError):
            aside.unlink()


def _is_there(target: Path, size: int, digest: str) -> bool:
    if not target.is_file() or target.stat().st_size != size:
        return False
    return size > COMPARED_BYTES or _digest(target) == digest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
