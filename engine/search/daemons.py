"""Ray's own processes, without which nothing goes on although nobody says so."""

import time

import psutil

from engine.search.own_ray import RayError

NAMES = ("gcs_server", "raylet")
LOOK_SECONDS = 1.0


class Daemons:
    """The daemons that this process has started; none of them on a cluster, which looks after its own."""

    def __init__(self) -> None:
        self._found = {child.name(): child for child in psutil.Process().children() if child.name() in NAMES}
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
