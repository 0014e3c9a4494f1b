"""Ray's own processes, without which nothing goes on although nobody says so."""

import time
from contextlib import suppress

import psutil

from engine.search.starting import RayError

NAMES = ("gcs_server", "raylet")
LOOK_SECONDS = 1.0


class Daemons:
    """The daemons of the Ray that this process has started; none of them on a cluster, which looks after its own."""

    def __init__(self) -> None:
        self._found = dict[str, psutil.Process]()
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):
                for process in (child, *child.children()):
                    with suppress(psutil.NoSuchProcess):  # one that ends meanwhile hides none of the others
                        if (name := process.name()) in NAMES:
                            self._found[name] = process
        self._looked = time.monotonic()

    def require(self) -> None:
        """Raises RayError where one of them is gone; looks once a second."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        for name, process in self._found.items():
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise RayError(
                    f"Ray's {name} died (killed, or out of memory?); what is finished is stored: the same command "
                    "goes on from there"
                )
