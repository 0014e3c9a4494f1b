"""A study on a Ray cluster of several nodes: carried data, a node that dies, nodes that cannot run it."""

import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pytest
from ray.cluster_utils import Cluster

from engine.errors import StudyFileError
from engine.hardware import Machine
from engine.search.cluster import connect, require_answer
from engine.search.nodes import ClusterError, Node, places
from engine.store import Store
from engine.study_settings import ModelSettings, ResourceSettings, Study
from tests.bucket import BUCKET, s3_server

Started = TypeVar("Started")
FILE = """
name: small
model: {width: 2, image_size: 32}
data: {kind: simulated, images: 15}
start_weights: {images: 20, batches: 4}
strategies: [block 9, block 1]
fractions: [80]
folds: {of: 5}
training: {max_epochs: 40, batches_per_epoch: 6, patience: 40}
"""
TRIALS = 15
"""Two strategies and the start weights themselves in five folds."""
ray_test = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.flaky(reruns=1),  # Ray's daemons beside another worker's tests on two cores; the summary names it
    pytest.mark.filterwarnings("default"),  # Ray's own warnings are not ours to fix
]
SMALL = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


def many(marks: list[pytest.MarkDecorator]) -> Any:
    """All of `marks` on one test."""

    def mark(test: Any) -> Any:
        for each in marks:
            test = each(test)
        return test

    return mark


@contextmanager
def cluster(folder: Path, **head: Any) -> Iterator[Cluster]:
    """A cluster whose head has one core (or what `head` says), in a folder of its own with a short name."""
    short = Path(tempfile.mkdtemp(prefix="wl-", dir="/tmp"))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    Path("/tmp/ray").mkdir(exist_ok=True)  # a head writes its address there, whatever `temp_dir` is
    own = {**SMALL, "include_dashboard": False, "temp_dir": str(short), "env_vars": cache_of(folder, "head"), **head}
    running = patiently(lambda: Cluster(initialize_head=True, head_node_args=own))
    try:
        yield running
    finally:
        running.shutdown()
        shutil.rmtree(short, ignore_errors=True)


def patiently(start: Callable[[], Started]) -> Started:
    """Ray gives a node half a minute to start, which a busy machine may exceed."""
    for _ in range(3):
        try:
            return start()
        except Exception as error:
            if "timed out during startup" not in str(error):
                raise
    return start()


def add(running: Cluster, **told: str) -> Any:
    """One more node with one core; `told` are variables of its environment."""
    return patiently(lambda: running.add_node(**SMALL, env_vars=told))


def cache_of(folder: Path, name: str) -> dict[str, str]:
    """What a node is told of its own cache."""
    return {"WHICHLAYERS_CACHE": str(folder / name)}


def run(folder: Path, store: str, *options: str) -> "subprocess.Popen[str]":
    """`whichlayers run` as a process of its own, in a folder where nothing of ours can be imported from."""
    (folder / "small.yaml").write_text(FILE)
    command = [sys.executable, "-m", "whichlayers", "run", str(folder / "small.yaml"), "--store", store, *options]
    return subprocess.Popen(
        [*command, "--cache", str(folder / "cache")],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: "subprocess.Popen[str]") -> str:
    """What it said, once it is over."""
    said, _ = process.communicate(timeout=600)
    return said


def numbers(store: Store) -> pd.DataFrame:
    """What decides a study's tables, by trial; one closed attempt each."""
    closed = store.attempts("small").query("state in ('completed', 'not_converged')").set_index("id")
    assert closed.index.is_unique
    assert set(closed.index) == set(store.plan("small")["id"])
    images = store.test_images("small").groupby("id")["dice"].sum()
    kept = closed[["validation_loss", "epochs_run", "best_epoch", "frozen_hash_after", "kept_dice"]]
    return kept.join(images).sort_index()


@many(ray_test)
def test_a_study_outlives_one_of_three_nodes_then_one_of_two_and_gives_undisturbed_numbers(tmp_path: Path) -> None:
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    with s3_server() as server:
        store = Store.at(f"s3://{BUCKET}/results", tmp_path / "mirror")
        with cluster(tmp_path) as running:
            near = add(running, **cache_of(tmp_path, "near"))
            other = add(running, **cache_of(tmp_path, "other"))
            running.wait_for_nodes()
            driver = run(tmp_path, f"s3://{BUCKET}/results", "--address", running.address)
            until(lambda: "small" in store.studies() and len(store.attempts("small")) >= 2, driver)
            running.remove_node(near, allow_graceful=False)  # kill -9 of its processes
            done = len(store.attempts("small"))
            until(lambda: len(store.attempts("small")) >= done + 2, driver)
            assert len(store.attempts("small")) < TRIALS
            running.remove_node(other, allow_graceful=False)
            said = ended(driver)
            assert driver.returncode == 0, said
            assert f"{TRIALS} of {TRIALS} trials done, 0 failed" in said
            disturbed = numbers(store)
            facts = store.facts("small")
            assert [node["at_once"] for node in facts["nodes"]] == [1, 1, 1]
            left = running.list_all_nodes()  # the user's cluster is still there
            assert [each.remaining_processes_alive() for each in left] == [True]
        for node in ("near", "other"):
            arrays = list((tmp_path / node).rglob("images.npy"))
            assert len(arrays) == 1
            assert arrays[0].read_bytes() == (tmp_path / "cache" / arrays[0].relative_to(tmp_path / node)).read_bytes()
        assert not [line for line in said.splitlines() if "Traceback" in line]
        undisturbed = run(tmp_path, str(tmp_path / "alone"), "--address", "local")
        assert f"{TRIALS} of {TRIALS} trials done" in ended(undisturbed)
        pd.testing.assert_frame_equal(disturbed, numbers(Store.at(tmp_path / "alone")))
        assert server.port


def until(happened: Any, process: "subprocess.Popen[str]") -> None:
    """Waits; fails when the process ends before, or after ten minutes."""
    deadline = time.monotonic() + 600
    while not happened():
        assert process.poll() is None, ended(process)
        assert time.monotonic() < deadline
        time.sleep(0.2)


@many(ray_test)
def test_nodes_that_cannot_run_the_study_are_named_before_anything_starts(tmp_path: Path) -> None:
    bare, old = tmp_path / "bare", tmp_path / "old"
    (bare / "engine").mkdir(parents=True)
    (bare / "engine" / "__init__.py").write_text("")
    (old / "whichlayers-0.0.1.dist-info").mkdir(parents=True)
    (old / "whichlayers-0.0.1.dist-info" / "METADATA").write_text("Name: whichlayers\nVersion: 0.0.1\n")
    with cluster(tmp_path) as running:
        add(running, PYTHONPATH=str(bare))
        add(running, PYTHONPATH=str(old))
        running.wait_for_nodes()
        process = run(tmp_path, str(tmp_path / "results"), "--address", running.address)
        said = ended(process)
    assert process.returncode == 2, said
    assert "whichlayers cannot be loaded there (ModuleNotFoundError: No module named 'engine." in said
    assert "has whichlayers 0.0.1 (here " in said
    assert "Traceback" not in said
    assert Store.at(tmp_path / "results").studies() == []


@many(ray_test)
def test_a_run_from_a_machine_that_is_no_node_of_the_cluster(tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="ray:// needs ray[client]")
    port = free_port()
    with cluster(tmp_path, num_cpus=2, ray_client_server_port=port):
        process = run(tmp_path, str(tmp_path / "results"), "--address", f"ray://127.0.0.1:{port}")
        said = ended(process)
        assert process.returncode == 0, said
        assert f"{TRIALS} of {TRIALS} trials done, 0 failed" in said
    numbers(Store.at(tmp_path / "results"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:8265", "expected auto, HOST:PORT"),
        ("somewhere", "expected auto, HOST:PORT"),
        ("127.0.0.1:99999", "nothing answers there"),
        ("ray://", "expected auto, HOST:PORT"),
    ],
)
def test_an_address_of_no_cluster_is_refused_in_one_line(address: str, words: str) -> None:
    with pytest.raises(ClusterError, match=rf"^--address {address}: {words}[^\n]*$"):
        require_answer(address)


def test_a_port_at_which_nothing_answers_is_told_of_in_one_line(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(ClusterError, match=rf"^--address ray://127\.0\.0\.1:{port}: nothing answers there \([^\n]*$"):
        require_answer(f"ray://127.0.0.1:{port}")
    given = f"127.0.0.1:{port}"
    process = run(tmp_path, str(tmp_path / "results"), "--address", given)
    said = ended(process)
    assert process.returncode == 2
    (line,) = [line for line in said.splitlines() if "--address" in line]
    assert line.startswith(f"--address {given}: nothing answers there (")
    assert Store.at(tmp_path / "results").studies() == []


LOST = """Initialization failure from server:
Traceback (most recent call last):
  File "proxier.py", line 772, in Datapath
RuntimeError: Starting Ray client server failed. See ray_client_server_23000.err for detailed logs.
"""


@pytest.mark.parametrize("lost", [1, 3])
def test_a_client_that_the_head_lost_is_asked_for_again_and_given_up_in_one_line(
    monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """Ray's answer of a head that was too busy, which cannot be had to order."""
    asked: list[str] = []

    def init(address: str, **_: Any) -> None:
        asked.append(address)
        if len(asked) <= lost:
            raise ConnectionAbortedError(LOST)

    monkeypatch.setattr("ray.init", init)
    with socket.create_server(("127.0.0.1", 0)) as head:
        given = f"ray://127.0.0.1:{head.getsockname()[1]}"
        if lost == 1:
            connect(given)
            assert asked == [given, given]
            return
        with pytest.raises(ClusterError) as raised:
            connect(given)
    assert asked == [given] * 3
    assert str(raised.value) == (
        f"--address {given}: no Ray cluster can be used there (RuntimeError: Starting Ray client server failed. See "
        "ray_client_server_23000.err for detailed logs.); is its head overloaded? Try again, or leave out --address"
    )


STUDY = Study(
    name="s",
    question="?",
    model=ModelSettings(width=64, image_size=256),
    strategies=("block 9",),
    resources=ResourceSettings(),
)


def node(name: str, *, cores: int = 8, gpus: int = 0, bfloat16: bool = True, memory: float = 64.0) -> Node:
    """A node with so many cores, GPUs of 80 GB each, and gigabytes of memory."""
    machine = Machine(
        host=name,
        processor="p",
        cores=cores,
        memory_gb=memory,
        gpu="g" if gpus else None,
        gpus=gpus,
        gpu_memory_gb=80.0 if gpus else 0.0,
        processor_bfloat16=bfloat16,
        gpu_bfloat16=bool(gpus),
    )
    return Node(node=name, machine=machine, memory_bytes=memory * 2**30)


def test_the_places_of_a_cluster_are_those_of_its_nodes() -> None:
    found = places([node("a"), node("b", cores=3), node("head", cores=0)], STUDY)
    assert (found.room, found.portion.at_once, found.portion.device) == (11, 11, "cpu")
    assert [told["host"] for told in found.nodes] == ["a", "b"]
    assert found.portion.precision == "bfloat16"
    assert places([node("a"), node("b", bfloat16=False)], STUDY).portion.precision == "float32"
    few = replace(STUDY, resources=ResourceSettings(at_once=2, cpu=2))
    assert (places([node("a")], few).room, places([node("a")], few).portion.at_once) == (4, 2)


def test_memory_of_a_node_limits_the_trials_on_it() -> None:
    found = places([node("a", memory=16.0), node("b")], STUDY)
    assert found.memory_bytes == int(4.6 * 2**30)
    assert [told["at_once"] for told in found.nodes] == [2, 8]
    with pytest.raises(StudyFileError, match=r"no node of the cluster has 4\.6 GB for a trial"):
        places([replace(node("a"), memory_bytes=1.0)], STUDY)


def test_trials_go_to_the_nodes_with_gpus_and_share_them_evenly() -> None:
    found = places([node("a", gpus=2, cores=16), node("b", gpus=1, cores=2), node("c", cores=64)], STUDY)
    assert found.portion.device == "cuda"
    assert found.portion.gpu == 0.5  # as b's two cores allow
    assert [told["at_once"] for told in found.nodes] == [4, 2]
    assert found.memory_bytes == 0


def test_what_no_node_has_is_refused_with_the_nodes() -> None:
    asked = replace(STUDY, resources=ResourceSettings(gpu=4.0))
    with pytest.raises(StudyFileError, match=r"4 GPUs per trial asked for; this machine has 1 \(a\)") as raised:
        places([node("a", gpus=1), node("b")], asked)
    assert len(raised.value.problems) == 2
    with pytest.raises(StudyFileError, match="no node of the cluster has a core for trials"):
        places([node("head", cores=0)], STUDY)
