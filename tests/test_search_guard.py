"""What is left of a run that was killed goes, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

from engine.search import guard


def sleeper(**marks: str) -> "subprocess.Popen[bytes]":
    """A process that inherits these variables."""
    return subprocess.Popen(["sleep", "60"], env={**os.environ, **marks})


def test_a_guard_ends_the_processes_of_its_run_and_removes_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    (folder / "logs").mkdir(parents=True)
    own, other = sleeper(WHICHLAYERS_RUN="token"), sleeper(WHICHLAYERS_RUN="token of another")
    try:
        command = [sys.executable, "-I", "-S", guard.__file__, "token", str(folder)]
        beside = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert guard.marked("token", str(folder)) == [own.pid]
        assert own.poll() is None  # the run is alive: the guard waits
        assert beside.stdin is not None
        beside.stdin.close()  # as the kernel does of a run that is killed
        assert own.wait(30) == -9
        assert beside.wait(30) == 0
        assert not folder.exists()
        assert other.poll() is None
    finally:
        for process in (own, other):
            process.kill()
            process.wait()


def test_where_the_system_does_not_tell_nothing_is_ended(tmp_path: Path) -> None:
    assert guard.marked("token", "/gone", tmp_path / "absent") == []
    (tmp_path / "12").mkdir()
    assert guard.marked("token", "/gone", tmp_path) == []
