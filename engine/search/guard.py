"""Ends what is left of a run's Ray once the run is gone, and removes its folder.

A process of its own, started by `engine.search.starting` as a file and by the standard library alone: Ray's agents
otherwise wait a minute for daemons that were killed with their run.
"""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

MARK = "WHICHLAYERS_RUN"
"""Environment variable that all processes of a run's Ray inherit."""
TITLE = b"ray::"
"""How the titles of Ray's own processes begin."""
ROUNDS = 50
PAUSE_SECONDS = 0.2


def marked(token: str, folder: str, root: Path = Path("/proc")) -> list[int]:
    """Processes that inherited the token of a run, and Ray's that hold files in its folder open, but this one.

    Ray's give themselves a title, which may overwrite what they inherited. None where the system does not tell.
    """
    wanted, found = f"{MARK}={token}".encode(), []
    for place in root.iterdir() if root.is_dir() else []:
        with suppress(OSError):
            if place.name.isdigit() and (
                wanted in (place / "environ").read_bytes().split(b"\0") or _holds(place, folder)
            ):
                found.append(int(place.name))
    return [process for process in found if process != os.getpid()]


def _holds(process: Path, folder: str) -> bool:
    if not (process / "cmdline").read_bytes().startswith(TITLE):
        return False
    for descriptor in (process / "fd").iterdir():
        with suppress(OSError):
            if str(descriptor.readlink()).startswith(f"{folder}/"):
                return True
    return False


def end(token: str, folder: str) -> None:
    """Kill every process of the run, and those that they begin meanwhile."""
    for _ in range(ROUNDS):
        processes = marked(token, folder)
        if not processes:
            return
        for process in processes:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(PAUSE_SECONDS)


def main(token: str, folder: str) -> None:
    """Waits until standard input ends, which it does with the run."""
    while os.read(0, 1024):
        pass
    end(token, folder)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
