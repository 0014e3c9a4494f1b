"""One process beside the server that loads torch and answers frames, for all users of the page.

Requests pass one at a time over a pipe, in the order in which they came: a frame takes tens of milliseconds, a clip
comes a few frames at a time, and whoever waits too long is told so. The process starts with the first request, is
started anew when it died or hung, and ends with the server.
"""

import contextlib
import os
import subprocess
import sys
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, Thread, Timer
from types import TracebackType

import numpy as np
from jaxtyping import UInt8

from dashboard.gauges import timed
from dashboard.inference.aside import Aside
from dashboard.inference.messages import (
    Answer,
    ClassAnswer,
    ClipBegun,
    ClipFrames,
    ClipRequest,
    ClipStep,
    Maps,
    MapsRequest,
    NeighboursAnswer,
    NeighboursRequest,
    Preparing,
    Request,
)
from dashboard.inference.turns import Turns
from dashboard.places import cache_root
from engine.errors import WhichLayersError

__all__ = ["InferenceError", "InferenceWorker", "Maps", "shared_worker"]

START_SECONDS = 120.0
"""Time in which the process must be up; loading torch from a slow disk takes a while."""


class InferenceError(WhichLayersError):
    """The inference process gave no answer."""


class InferenceWorker:
    """The door to the process. Safe to call from many threads; the first call starts the process."""

    def __init__(
        self,
        store_root: str,
        *,
        cache: Path | None = None,
        timeout_seconds: float = 60.0,
        threads: int | None = None,
    ) -> None:
        self._store_root, self._cache = store_root, cache or cache_root()
        self._timeout_seconds = timeout_seconds
        self._threads = threads or min(8, _cores())
        self._lock = Turns()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._aside: Aside | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it was closed: it answers no more."""
        return self._closed

    @property
    def process_id(self) -> int | None:
        """Number of the process; None where none was started."""
        return self._process.pid if self._process else None

    def answers(self, seconds: float = 5.0) -> bool:
        """Whether the process answers within so long; True before the first request, and while it is at work."""
        process = self._process
        if self._closed or process is None:
            return not self._closed
        if not self._lock.acquire(timeout=seconds):
            return process.poll() is None  # at work; one that hangs is ended by whoever waits on it
        try:
            if self._pipe is None:
                return True
            with contextlib.suppress(EOFError, OSError):
                # No study has this name: the answer is that there is none, and costs nothing.
                self._pipe.send(Request(study="", trial_id="", frame=None))
                if self._pipe.poll(seconds):
                    self._pipe.recv()
                    return True
            self._stop()  # a late answer could be taken for that of the next request, which starts it anew
            return False
        finally:
            self._lock.release()

    @timed(InferenceError)
    def answer(self, request: Request) -> Answer | ClassAnswer:
        """What a trial's network says of the frame in `request`: an outline, or classes.

        Raises DataError, StoreError or WeightsError as reading the frame and loading the network do, and
        InferenceError where the process gave no answer in time or died twice.
        """
        answer = self._ask(request)
        if not isinstance(answer, Answer | ClassAnswer):
            raise InferenceError("the inference process answered without a picture; try the frame again")
        return answer

    def predict(self, study: str, trial_id: str, frame: bytes | Path) -> Answer:
        """Where the trial's network sees structures in the file `frame`. Raises as `answer` does."""
        answer = self.answer(Request(study=study, trial_id=trial_id, frame=frame))
        if not isinstance(answer, Answer):
            raise InferenceError("this trial tells classes apart; choose one that outlines structures")
        return answer

    def classify(self, study: str, trial_id: str, frame: bytes, scanner: str = "") -> ClassAnswer:
        """How probable each class is for the file `frame`, by a trial that tells classes apart.

        `scanner` names the study's square that is cut out, where there are several. Raises as `answer` does.
        """
        answer = self.answer(Request(study=study, trial_id=trial_id, frame=frame, scanner=scanner))
        if not isinstance(answer, ClassAnswer):
            raise InferenceError("this trial outlines structures; choose one that tells classes apart")
        return answer

    def begin_clip(self, request: ClipRequest) -> ClipBegun:
        """Open a clip for the frames that `step_clip` gives; others' frames come in between. Raises as `answer`."""
        while isinstance(answer := self._ask(request), Preparing):
            pass
        if not isinstance(answer, ClipBegun):
            raise InferenceError("the inference process did not open the clip; try it again")
        return answer

    @timed(InferenceError)
    def step_clip(self, step: ClipStep) -> ClipFrames:
        """What is said of the clip's next frames; other users' frames come in between. Raises as `answer` does."""
        answer = self._ask(step)
        if not isinstance(answer, ClipFrames):
            raise InferenceError("the inference process answered without frames; try the clip again")
        return answer

    def neighbours(self, request: NeighboursRequest) -> NeighboursAnswer | Preparing:
        """A frame among its trial's training images; `Preparing` while these are looked at: ask again.

        Raises as `answer` does, and DataError where the training images are gone.
        """
        answer = self._ask(request)
        if not isinstance(answer, NeighboursAnswer | Preparing):
            raise InferenceError("the inference process answered without neighbours; try the frame again")
        return answer

    def feature_maps(self, study: str, trial_id: str, unit: str, image: UInt8[np.ndarray, "side side"]) -> Maps:
        """What `unit` of the trial's network hands on of an image at the network's size, before and after fine-tuning.

        Raises StoreError or WeightsError where the start or trained weights are gone, StrategyError where the network
        has no such unit, and InferenceError as `predict` does.
        """
        answer = self._ask(MapsRequest(study=study, trial_id=trial_id, unit=unit, image=image))
        if not isinstance(answer, tuple):
            raise InferenceError("the inference process answered without feature maps; choose the unit again")
        return answer

    def warm(self, study: str, trial_id: str) -> None:
        """Have the network loaded while the user looks for a frame; returns at once, says nothing of problems."""

        def load() -> None:
            # The same problem is raised, and shown, with the first frame.
            with contextlib.suppress(WhichLayersError):
                self._ask(Request(study=study, trial_id=trial_id, frame=None))

        Thread(target=load, name="warm inference", daemon=True).start()

    def close(self) -> None:
        """End the process. Later requests raise InferenceError."""
        self._closed = True
        process = self._process
        if process is not None:
            process.kill()  # it holds nothing that could be lost; whoever waits on it sees the pipe close
        with self._lock:
            self._stop()

    def __enter__(self) -> "InferenceWorker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(
        self, request: Request | MapsRequest | ClipRequest | ClipStep | NeighboursRequest
    ) -> Answer | ClassAnswer | Maps | ClipBegun | ClipFrames | NeighboursAnswer | Preparing | None:
        if not self._lock.acquire(timeout=self._timeout_seconds):
            raise InferenceError(f"busy: {self._timeout_seconds:g} s of other frames ahead; try again in a moment")
        try:
            for _ in range(2):
                if self._closed:
                    raise InferenceError("the server is shutting down")
                try:
                    pipe = self._running()
                    self._send(pipe, request)
                    if not pipe.poll(self._timeout_seconds):
                        self._stop()  # a late answer could be taken for that of the next request
                        raise InferenceError(
                            f"no answer within {self._timeout_seconds:g} s; the inference process was started anew: "
                            "try a smaller frame, or again when fewer trials are training"
                        )
                    answer = pipe.recv()
                except (EOFError, OSError):
                    self._stop()
                    continue
                if isinstance(answer, WhichLayersError):
                    raise answer
                return answer  # type: ignore[no-any-return]
            if self._closed:
                raise InferenceError("the server is shutting down")
            raise InferenceError(
                "the inference process died twice over this frame; its reason stands in the server's terminal "
                "(most likely: out of memory)"
            )
        finally:
            self._lock.release()

    def _send(self, pipe: Connection, request: object) -> None:
        """Hands a request over. Raises OSError where the process does not take it in time: it is ended."""
        process = self._process
        assert process is not None
        # What is larger than the pipe's buffer waits for the process to read it, which one that is stopped never does.
        late = Timer(self._timeout_seconds, process.kill)
        late.daemon = True
        late.start()
        try:
            pipe.send(request)
        finally:
            late.cancel()

    def _running(self) -> Connection:
        """The pipe to a process that is up. Raises EOFError where it dies while starting."""
        if self._pipe is not None and self._process is not None and self._process.poll() is None:
            return self._pipe
        self._stop()
        self._aside = Aside(self._cache)
        self._pipe, theirs = Pipe()
        # Not a child of multiprocessing: that runs the server's main module again, which is a page of Streamlit's.
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _START,
                    str(theirs.fileno()),
                    self._store_root,
                    str(self._threads),
                    str(self._cache),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, [_PROJECT, os.environ.get("PYTHONPATH")])),
                    # Waiting threads sleep: beside two trainers a frame took 22 ms so, 730 ms while they spun.
                    "OMP_WAIT_POLICY": "PASSIVE",
                    "OMP_NUM_THREADS": str(self._threads),
                    "TMPDIR": str(self._aside.folder),
                },
            )
        if not self._pipe.poll(START_SECONDS):
            self._stop()
            raise InferenceError(f"the inference process was not up within {START_SECONDS:g} s; try again")
        self._pipe.recv()
        return self._pipe

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._pipe is not None:
            self._pipe.close()
        if self._aside is not None:
            self._aside.leave()
        self._process, self._pipe, self._aside = None, None, None


_SHARED: dict[str, InferenceWorker] = {}
_SHARING = Lock()


def shared_worker(store_root: str, cache: Path | None = None) -> InferenceWorker:
    """The worker on the networks under `store_root` that all programs of this server ask, so that one loads torch.

    `cache` is where the studies' images lie, as the first program says; the server's own where None.
    """
    with _SHARING:
        worker = _SHARED.get(store_root)
        if worker is None or worker.closed:
            worker = _SHARED[store_root] = InferenceWorker(store_root, cache=cache)
        return worker


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_PROJECT = str(Path(__file__).resolve().parents[2])
_START = "import sys; from dashboard.inference.process import serve; serve(*sys.argv[1:])"
