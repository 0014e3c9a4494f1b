"""One process beside the server that loads torch and answers frames, for all users of the page.

Requests pass one at a time over a pipe: a frame takes tens of milliseconds, and whoever waits too long is told
so. The process starts with the first request, is started anew when it died or hung, and ends with the server.
"""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from engine.errors import DataError, WhichLayersError
from engine.images import read_image

if TYPE_CHECKING:
    from engine.inference import LoadedModel
    from engine.store import Store

MODELS_KEPT = 4
"""Networks that stay loaded; the one used longest ago goes first (124 MB each at width 64)."""

LARGEST_FRAME_PIXELS = 20_000_000
"""Pixels of the largest frame that is answered; phones' pictures have 12 million."""

GPU_BYTES_NEEDED = 2 * 2**30
"""Free GPU memory below which frames are answered by the processor, so that no trial runs out of memory."""

Maps = tuple[Float32[np.ndarray, "channel height width"], Float32[np.ndarray, "channel height width"]]
"""Feature maps of a unit before fine-tuning and after."""

START_SECONDS = 120.0
"""Time in which the process must be up; loading torch from a slow disk takes a while."""


class InferenceError(WhichLayersError):
    """The inference process gave no answer."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A frame for a trained trial, or only the wish to have its network loaded."""

    study: str
    trial_id: str
    frame: bytes | None
    """A PNG or JPEG file; None only loads the network."""


@dataclass(frozen=True, kw_only=True)
class MapsRequest:
    """An image whose feature maps are wanted, before fine-tuning and after."""

    study: str
    trial_id: str
    unit: str
    image: UInt8[np.ndarray, "side side"]
    """At the network's size."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the network says of one frame, as files ready to be shown."""

    outlined: bytes
    """PNG: the frame with the mask's edge in cyan."""
    mask: bytes
    """PNG: 255 on the structure, 0 elsewhere; of several, equal steps up to 255 in their order."""
    height: int
    width: int
    area_pixels: int
    milliseconds: dict[str, float]
    """Wall time of `decode`, `network` and `draw` (reading the file, resizing and predicting, drawing and writing)."""
    scaled_range: tuple[float, float] | None
    """Lowest and highest value of a frame deeper than 8 bits, which were scaled to 0 and 255."""


class InferenceWorker:
    """The door to the process. Safe to call from many threads; the first call starts the process."""

    def __init__(self, store_root: str, *, timeout_seconds: float = 60.0, threads: int | None = None) -> None:
        self._store_root = store_root
        self._timeout_seconds = timeout_seconds
        self._threads = threads or min(8, _cores())
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether it was closed: it answers no more."""
        return self._closed

    @property
    def process_id(self) -> int | None:
        """Number of the process; None where none was started."""
        return self._process.pid if self._process else None

    def predict(self, study: str, trial_id: str, frame: bytes) -> Answer:
        """What the trial's network says of the PNG or JPEG in `frame`.

        Raises DataError, StoreError or WeightsError as reading the frame and loading the network do, and
        InferenceError where the process gave no answer in time or died twice.
        """
        answer = self._ask(Request(study=study, trial_id=trial_id, frame=frame))
        if not isinstance(answer, Answer):
            raise InferenceError("the inference process answered without a picture; try the frame again")
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

    def _ask(self, request: Request | MapsRequest) -> Answer | Maps | None:
        if not self._lock.acquire(timeout=self._timeout_seconds):
            raise InferenceError(f"busy: {self._timeout_seconds:g} s of other frames ahead; try again in a moment")
        try:
            for _ in range(2):
                if self._closed:
                    raise InferenceError("the server is shutting down")
                try:
                    pipe = self._running()
                    pipe.send(request)
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

    def _running(self) -> Connection:
        """The pipe to a process that is up. Raises EOFError where it dies while starting."""
        if self._pipe is not None and self._process is not None and self._process.poll() is None:
            return self._pipe
        self._stop()
        self._pipe, theirs = Pipe()
        # Not a child of multiprocessing: that runs the server's main module again, which is a page of Streamlit's.
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, str(theirs.fileno()), self._store_root, str(self._threads)],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, [_PROJECT, os.environ.get("PYTHONPATH")])),
                    # Waiting threads sleep: beside two trainers a frame took 22 ms so, 730 ms while they spun.
                    "OMP_WAIT_POLICY": "PASSIVE",
                    "OMP_NUM_THREADS": str(self._threads),
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
        self._process, self._pipe = None, None


_SHARED: dict[str, InferenceWorker] = {}
_SHARING = Lock()


def shared_worker(store_root: str) -> InferenceWorker:
    """The worker on the networks under `store_root` that all programs of this server ask, so that one loads torch."""
    with _SHARING:
        worker = _SHARED.get(store_root)
        if worker is None or worker.closed:
            worker = _SHARED[store_root] = InferenceWorker(store_root)
        return worker


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_PROJECT = str(Path(__file__).resolve().parents[1])
_START = "import sys; from dashboard.inference_worker import serve; serve(*sys.argv[1:])"


def serve(pipe_number: str, store_root: str, threads: str) -> None:
    """Answer requests until the server closes the pipe or is gone. Runs in the process, and alone loads torch."""
    # Ctrl-C reaches every process of a terminal; this one ends when the server does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = Connection(int(pipe_number))
    import torch

    from engine.inference import load_model
    from engine.store import Store

    torch.set_num_threads(int(threads))
    store = Store.at(store_root)
    loaded: OrderedDict[tuple[str, str], LoadedModel] = OrderedDict()
    with contextlib.suppress(EOFError, OSError):  # the server is gone
        pipe.send("up")
        while True:
            request: Request | MapsRequest = pipe.recv()
            key = (request.study, request.trial_id)
            reply: Answer | Maps | WhichLayersError | None
            try:
                if key not in loaded:
                    loaded[key] = load_model(store, *key, device=_device())
                loaded.move_to_end(key)
                while len(loaded) > MODELS_KEPT:
                    loaded.popitem(last=False)
                model = loaded[key]
                reply = (
                    _maps(store, model, request) if isinstance(request, MapsRequest) else _answer(model, request.frame)
                )
            except WhichLayersError as error:
                reply = error
            pipe.send(reply)


def _device() -> Literal["cpu", "cuda"]:
    """The GPU where there is one that trainers have not filled."""
    import torch

    return "cuda" if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > GPU_BYTES_NEEDED else "cpu"


def _maps(store: "Store", model: "LoadedModel", request: MapsRequest) -> Maps:
    from engine.features import before_fine_tuning, unit_maps

    before = before_fine_tuning(store, model)
    return unit_maps(before, request.image, request.unit), unit_maps(model, request.image, request.unit)


def _answer(model: "LoadedModel", frame: bytes | None) -> Answer | None:
    """What the network says of `frame`; None where there is none and the process only warms up."""
    from engine.inference import outline, predict

    if frame is None:
        # Whatever loads with a first frame (kernels, image formats) loads now.
        _answer(model, _png(Image.fromarray(np.eye(model.image_size, dtype=np.uint8))))
        return None
    clock = [time.perf_counter()]
    gray = read_image(io.BytesIO(frame), name="this frame")
    height, width = gray.pixels.shape
    if height * width > LARGEST_FRAME_PIXELS:
        raise DataError(
            f"this frame: {width} x {height} pixels; at most {LARGEST_FRAME_PIXELS:,} are answered: crop or reduce it"
        )
    clock.append(time.perf_counter())
    prediction = predict(model, gray.pixels)
    clock.append(time.perf_counter())
    outlined = _png(Image.fromarray(outline(gray.pixels, prediction.mask)))
    mask = _png(Image.fromarray(prediction.mask * np.uint8(255 // model.structures)))
    clock.append(time.perf_counter())
    steps = [(after - before) * 1000 for before, after in pairwise(clock)]
    return Answer(
        outlined=outlined,
        mask=mask,
        height=height,
        width=width,
        area_pixels=prediction.area_pixels,
        milliseconds=dict(zip(("decode", "network", "draw"), steps, strict=True)),
        scaled_range=gray.scaled_range,
    )


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)  # level 6 takes four times as long for a tenth fewer bytes
    return stream.getvalue()
