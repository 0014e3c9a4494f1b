"""Whether frames are unlike a trial's training images, for programs: told where that is known, never waited for."""

import math
import time
from contextlib import suppress
from threading import Lock, Thread
from typing import Any

from dashboard.inference.messages import NeighboursRequest, Preparing
from dashboard.inference.worker import InferenceWorker
from engine.errors import DataError, WhichLayersError

AGAIN_SECONDS = 300.0
"""After which a trial whose images were gone is asked for again."""
UNKNOWN: dict[str, Any] = {
    "unlike": None, "distance": None, "distance_threshold": None, "look": None, "look_threshold": None
}  # fmt: skip


class Likeness:
    """The trials whose training images are known, and those that are looked at in the background."""

    def __init__(self, worker: InferenceWorker) -> None:
        self._worker, self._lock = worker, Lock()
        self._ready = set[tuple[str, str]]()
        self._asked = dict[tuple[str, str], float]()
        """Until when they are not asked for again, by the monotonic clock: looked at just now, or gone."""

    def of(self, request: NeighboursRequest) -> dict[str, Any]:
        """`unlike` with its distances and thresholds; None where the training images are not known (yet)."""
        key = (request.study, request.trial_id)
        with self._lock:
            is_ready, is_asked = key in self._ready, self._asked.get(key, 0.0) > time.monotonic()
            self._asked[key] = self._asked[key] if is_asked else math.inf
        if not is_ready:
            if not is_asked:
                Thread(target=self._prepare, args=(request,), name="training images", daemon=True).start()
            return UNKNOWN
        with suppress(WhichLayersError):
            found = self._worker.neighbours(request)
            if not isinstance(found, Preparing):
                return {
                    "unlike": found.unlike,
                    "distance": found.distance,
                    "distance_threshold": found.threshold,
                    "look": found.look,
                    "look_threshold": found.look_threshold,
                }
            with self._lock:  # the process was started anew
                self._ready.discard(key)
                self._asked.pop(key, None)
        return UNKNOWN

    def _prepare(self, request: NeighboursRequest) -> None:
        key = (request.study, request.trial_id)
        try:
            while isinstance(self._worker.neighbours(request), Preparing):
                pass
        except WhichLayersError as error:
            with self._lock:  # where its images are gone they may come back
                self._asked[key] = time.monotonic() + (AGAIN_SECONDS if isinstance(error, DataError) else 0.0)
            return
        with self._lock:
            self._ready.add(key)
