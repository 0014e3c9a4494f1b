"""Ray that starts while a study is prepared: taken by the run, gone with it, and not begun where nobody wants it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import ray

from engine.search import early, starting
from engine.search.early import early_ray
from engine.search.own_ray import own_ray
from engine.search.starting import RayError, starting_ray
from engine.store import Lease, Store
from engine.study_settings import ModelSettings, ResourceSettings, Study

pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(900),  # a busy machine takes minutes to start Ray
    pytest.mark.filterwarnings("default"),  # Ray's own warnings are not ours to fix
]
STUDY = Study(name="s", model=ModelSettings(width=2, image_size=32))
BUSY = """\
import threading
import numpy as np
from engine.search.own_ray import own_ray

matrix, over = np.ones((600, 600)), threading.Event()

def multiply():
    while not over.is_set():
        matrix @ matrix

worker = threading.Thread(target=multiply)
worker.start()
with own_ray(1):
    pass
over.set()
worker.join()
print("ended")
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty one."""
    return Store.at(tmp_path)


def starts(study: Study, store: Store, address: str | None = None) -> bool:
    """Whether Ray begins to start for it."""
    with early_ray(study, store, address):
        return bool(early.STARTING)


def servers() -> list[psutil.Process]:
    """Ray's servers that this process has started."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # others come and go
            if child.name() in ("gcs_server", "raylet"):
                found.append(child)
    return found


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.skipif(any(Path(name).exists() for name in early.GPU_FILES), reason="Ray starts late beside a GPU")
def test_a_run_takes_the_ray_that_began_to_start(store: Store) -> None:
    study = replace(STUDY, resources=ResourceSettings(cpu=1, at_once=1))
    with early_ray(study, store, None):
        with own_ray(1):
            assert ray.cluster_resources()["CPU"] == early.usable_cores()  # for trials at once that are asked for later
            started = servers()
            assert len(started) == 2
        assert not ray.is_initialized()
    assert not early.STARTING
    assert alive(started) == []


def test_an_error_meanwhile_ends_it(store: Store) -> None:
    with pytest.raises(ValueError, match="no images"), early_ray(STUDY, store, None):
        raise ValueError("no images")
    assert not early.STARTING
    assert servers() == []


def test_threads_that_work_on_arrays_do_not_keep_it_from_starting() -> None:
    ended = subprocess.run([sys.executable, "-c", BUSY], capture_output=True, text=True, timeout=600)
    assert ended.stdout == "ended\n", ended.stderr


def test_a_starter_that_dies_is_said_and_one_that_died_early_is_replaced(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with starting_ray(1) as dying:
        dying._process.kill()
        with pytest.raises(RayError, match="could not be started"):
            dying.told()
    with early_ray(STUDY, store, None):
        early.STARTING[-1]._process.kill()
        with own_ray(1):
            assert ray.cluster_resources()["CPU"] == 1
    monkeypatch.setattr(starting, "__file__", str(Path(starting.__file__).with_name("no") / "starting.py"))
    with starting_ray(1) as none, pytest.raises(RayError, match=r"can't open file .*starter\.py"):
        none.told()


def test_one_that_dies_while_the_study_is_prepared_is_replaced_at_once(store: Store) -> None:
    ended_by = signal.getsignal(signal.SIGTERM)
    with early_ray(STUDY, store, None):
        first = early.STARTING[-1]
        first.told()
        killed = servers()
        assert len(killed) == 2
        for process in killed:
            process.kill()
        while alive(killed):
            time.sleep(0.05)
        begun = time.monotonic()
        with own_ray(1) as folder:
            assert folder != first.folder
            assert signal.getsignal(signal.SIGTERM) == ended_by
            assert ray.cluster_resources()["CPU"] == 1
        assert time.monotonic() - begun < 120  # Ray itself asks a dead one for a quarter of an hour
    assert servers() == []


def test_a_folder_that_cannot_be_made_is_left_to_the_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room() -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(starting, "_base", no_room)
    with early_ray(STUDY, store, None):
        assert not early.STARTING


def test_it_is_not_begun_where_a_run_will_not_want_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def starting_nothing(cores: int) -> Iterator[int]:
        yield cores

    monkeypatch.setattr(early, "starting_ray", starting_nothing)
    monkeypatch.setattr(early, "GPU_FILES", ())
    assert starts(STUDY, store)
    assert not starts(STUDY, store, "auto")
    assert not starts(STUDY, store, "ray://host:10001")
    assert not starts(replace(STUDY, resources=ResourceSettings(gpu=1.0)), store)
    assert not starts(replace(STUDY, resources=ResourceSettings(cpu=10_000)), store)
    store.begin("s", "name: s\n")
    for state, wanted in (("stopped", True), ("failed", True), ("finished", False)):
        store.write_progress("s", {"state": state})
        assert starts(STUDY, store) == wanted, state
    store.write_progress("s", {"state": "running"})
    with Lease(store.files, "s"):
        assert not starts(STUDY, store)
    monkeypatch.setattr(early, "GPU_FILES", ("/",))
    assert not starts(STUDY, store)
