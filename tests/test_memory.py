"""Freed memory stays with a process that trains, and goes back when it is told so."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from engine import memory

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import ctypes, resource, sys
import psutil
from engine.memory import give_back_memory, keep_memory
if sys.argv[1] == "keep":
    keep_memory()
def take():
    # As a step does: blocks of 16 MB, written, and freed in any order.
    blocks = [bytearray(16 * 2**20) for _ in range(4)]
    del blocks[1::2], blocks
take()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    take()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
full = psutil.Process().memory_info().rss
give_back_memory()
print(faults, full - psutil.Process().memory_info().rss)
"""


def told(how: str) -> tuple[int, int]:
    """Page faults of five steps, and bytes that were given back then, in a process of its own."""
    command = [sys.executable, "-c", PROGRAM, how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    faults, given = map(int, done.stdout.split())
    return faults, given


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_what_is_freed_is_kept_for_the_next_step_and_given_back_in_the_end() -> None:
    plain, _ = told("leave")
    kept, given = told("keep")
    assert kept < plain / 10
    assert given > 40 * 2**20


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    memory.keep_memory()
    memory.give_back_memory()
