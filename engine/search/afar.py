"""A run on a cluster that this process is no node of: its driver is an actor there, the store tells how far it is."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from engine import steering
from engine.errors import StoreError, WhichLayersError
from engine.permission import allow, allowed
from engine.search.cluster import FAR, LOCAL, connect
from engine.search.nodes import ClusterError, nodes
from engine.search.running import Listen, run
from engine.search.starting import SETTINGS
from engine.store import Store, node_cache
from engine.study_settings import Study

POLL_SECONDS = 1.0
HEAD = "node:__internal_head__"
"""Resource by which Ray marks a cluster's head."""
STOP_SECONDS = 30.0
"""Time that a run has to end when this terminal asks for it."""


class FarDriver:
    """`run` on the cluster's head; an error comes back as a value, with its kind."""

    def run(self, study: Study, root: str, own_networks: Sequence[str]) -> dict[str, int] | BaseException:
        """As `engine.search.running.run`, with the cache of that node and what its user allowed."""
        os.environ.update(SETTINGS)
        allow(own_networks)
        try:
            return run(study, Store.at(root), node_cache(), address="auto")
        except (KeyboardInterrupt, WhichLayersError) as error:
            return KeyboardInterrupt() if isinstance(error, KeyboardInterrupt) else error


def run_at(
    study: Study, store: Store, cache: Path, address: str | None, listen: Listen | None = None
) -> dict[str, int]:
    """As `engine.search.running.run`, on this machine or the cluster at `address`: 'auto', HOST:PORT or ray://HOST:PORT."""
    if address in (None, "", LOCAL):
        return run(study, store, cache, listen)
    if address.startswith(FAR):
        return run_afar(study, store, address, listen)
    return run(study, store, cache, listen, address=address)


def run_afar(study: Study, store: Store, address: str, listen: Listen | None = None) -> dict[str, int]:
    """As `run`, on the cluster behind `ray://...`; data are read there, by the node of the driver.

    The run ends with this process. Raises what `run` raises, and ClusterError where the cluster cannot be used.
    """
    connect(address)
    try:
        nodes(store)
        head = next(node["NodeID"] for node in ray.nodes() if node["Alive"] and HEAD in node["Resources"])
        where = NodeAffinitySchedulingStrategy(head, soft=False)
        driver = ray.remote(num_cpus=0)(FarDriver).options(scheduling_strategy=where).remote()
        coming = driver.run.remote(study, store.files.root, allowed())
        try:
            told = _wait(coming, store, study.name, listen)
        except KeyboardInterrupt:
            _stop(store, study.name, coming)
            raise
        if isinstance(told, BaseException):
            raise told
        return told
    finally:
        ray.shutdown()


def _wait(coming: Any, store: Store, study: str, listen: Listen | None) -> dict[str, int] | BaseException:
    while not ray.wait([coming], timeout=POLL_SECONDS)[0]:
        with suppress(StoreError):  # the run itself waits for its storage, or ends
            now: Mapping[str, Any] = store.progress(study)
            if listen is not None and now["alive"] and now.get("state", "unknown") != "unknown":
                listen(now)
    try:
        told: dict[str, int] | BaseException = ray.get(coming)
    except Exception as error:
        reason = " ".join(str(error).split())[:240]
        raise ClusterError(f"the run ended with its node ({reason}); the same command goes on") from error
    return told


def _stop(store: Store, study: str, coming: Any) -> None:
    try:
        steering.stop(store, study)
    except StoreError:
        return  # it was over, or had not begun
    began = time.monotonic()
    while time.monotonic() - began < STOP_SECONDS and not ray.wait([coming], timeout=POLL_SECONDS)[0]:
        pass
