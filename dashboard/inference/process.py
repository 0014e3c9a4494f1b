"""The process that loads torch and answers frames; `dashboard.inference.worker` starts it and asks it."""

import contextlib
import io
import logging
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

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
from dashboard.inference.networks import Networks
from dashboard.png import png
from engine.errors import DataError, StrategyError, WhichLayersError
from engine.images import GrayImage, read_image
from engine.memory import keep_memory

if TYPE_CHECKING:
    from dashboard.inference.clips import OpenClips
    from engine.inference import LoadedModel
    from engine.predicting import TrainedNetwork
    from engine.store import Store

_LOG = logging.getLogger("whichlayers.inference")
LARGEST_FRAME_PIXELS = 20_000_000
"""Pixels of the largest frame that is answered; phones' pictures have 12 million."""


Answered = Answer | ClassAnswer | Maps | ClipBegun | ClipFrames | NeighboursAnswer | Preparing | None
Asked = Request | MapsRequest | ClipRequest | ClipStep | NeighboursRequest


def serve(pipe_number: str, store_root: str, threads: str, cache: str) -> None:
    """Answer requests until the server closes the pipe or is gone. Runs in the process, and alone loads torch.

    `cache` holds the studies' images, which some classifiers need the mean of.
    """
    # Ctrl-C reaches every process of a terminal; this one ends when the server does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = Connection(int(pipe_number))
    import torch

    from dashboard.inference.clips import OpenClips
    from dashboard.inference.neighbours import TrainingImages
    from engine.store import Store

    torch.set_num_threads(int(threads))
    keep_memory()
    store, clips = Store.at(store_root), OpenClips()
    trained_on = TrainingImages(store, Path(cache))
    networks = Networks(store, Path(cache))
    with contextlib.suppress(EOFError, OSError):  # the server is gone
        pipe.send("up")
        while True:
            request: Asked = pipe.recv()
            reply: Answered | WhichLayersError
            try:
                if isinstance(request, NeighboursRequest):
                    network = networks[request.study, request.trial_id]
                    reply = trained_on.answer(network, request, lambda frame: _read(frame).pixels)
                else:
                    reply = _reply(store, networks, clips, request)
            except WhichLayersError as error:
                reply = error
            except MemoryError:  # ends the process, which frees what it holds; the next request starts it anew
                raise
            except Exception as error:
                _LOG.exception("a request was not answered")
                what = " ".join(f"{type(error).__name__}: {error}".split())[:240]
                reply = WhichLayersError(f"not answered ({what}); its traceback stands in the server's terminal")
            pipe.send(reply)


def _reply(
    store: "Store", networks: Networks, clips: "OpenClips", request: Request | MapsRequest | ClipRequest | ClipStep
) -> Answered:
    if isinstance(request, ClipStep):
        return clips.step(request)
    if isinstance(request, ClipRequest):
        return clips.begin(request, [networks[key] for key in request.trials])
    network = networks[request.study, request.trial_id]
    if isinstance(request, MapsRequest):
        if network.classifies:
            raise StrategyError("feature maps are shown of networks that outline structures; choose another study")
        return _maps(store, network.model, request)
    return _classes(network, request) if network.classifies else _answer(network, request)


def _maps(store: "Store", model: "LoadedModel", request: MapsRequest) -> Maps:
    from engine.features import before_fine_tuning, unit_maps

    before = before_fine_tuning(store, model)
    return unit_maps(before, request.image, request.unit), unit_maps(model, request.image, request.unit)


def _answer(network: "TrainedNetwork", request: Request) -> Answer | None:
    """What the network says of the frame; None where there is none and the process only warms up."""
    from engine.predicting import predict_frame

    if request.frame is None:
        # Whatever loads with a first frame (kernels, image formats) loads now.
        _answer(network, replace(request, frame=_png(np.eye(network.model.image_size, dtype=np.uint8))))
        return None
    clock = [time.perf_counter()]
    gray = _read(request.frame)
    height, width = gray.pixels.shape
    clock.append(time.perf_counter())
    said = predict_frame(network, gray.pixels)
    clock.append(time.perf_counter())
    assert said.outlined is not None
    outlined = _png(said.drawn(request.overlay)) if request.picture == "PNG" else _jpeg(said.drawn(request.overlay))
    mask = _png(said.outlined.mask * np.uint8(255 // len(network.names)))
    clock.append(time.perf_counter())
    return Answer(
        outlined=outlined,
        mask=mask,
        height=height,
        width=width,
        area_pixels=said.outlined.area_pixels,
        areas_pixels=said.areas_pixels,
        milliseconds=_steps(clock),
        scaled_range=gray.scaled_range,
        kept=gray.kept,
    )


def _classes(network: "TrainedNetwork", request: Request) -> ClassAnswer | None:
    """How probable each class is for the frame; None where there is none and the process only warms up."""
    from engine.classifying import LoadedClassifier
    from engine.predicting import predict_frame

    assert isinstance(network.loaded, LoadedClassifier)
    if request.frame is None:
        sides = network.loaded.squares if isinstance(network.loaded.squares, dict) else {"": network.model.image_size}
        name, side = next(iter(sides.items()))
        _classes(network, replace(request, frame=_png(np.eye(side, dtype=np.uint8)), scanner=name))
        return None
    clock = [time.perf_counter()]
    gray = _read(request.frame)
    clock.append(time.perf_counter())
    said = predict_frame(network, gray.pixels, scanner=request.scanner)
    clock.append(time.perf_counter())
    assert said.classified is not None
    seen = _png(said.classified.seen)
    clock.append(time.perf_counter())
    return ClassAnswer(
        classes=tuple(name for name, _ in said.ranked),
        probabilities=tuple(part for _, part in said.ranked),
        seen=seen,
        how=said.classified.how,
        height=gray.pixels.shape[0],
        width=gray.pixels.shape[1],
        milliseconds=_steps(clock),
        scaled_range=gray.scaled_range,
        kept=gray.kept,
    )


def _steps(clock: Sequence[float]) -> dict[str, float]:
    steps = [(after - before) * 1000 for before, after in pairwise(clock)]
    return dict(zip(("decode", "network", "draw"), steps, strict=True))


def _read(frame: bytes | Path) -> GrayImage:
    """The frame's pixels, decoded once where two trials answer it, or its likeness is asked for next."""
    try:
        return _decoded(frame, frame.stat().st_mtime_ns if isinstance(frame, Path) else 0)
    except FileNotFoundError:
        raise DataError("this frame was deleted after an hour; drop it again") from None


@lru_cache(maxsize=1)
def _decoded(frame: bytes | Path, _changed: int) -> GrayImage:
    # A stream, since a file's own name would let it have its pixels in another file beside it.
    with frame.open("rb") if isinstance(frame, Path) else io.BytesIO(frame) as stream:
        gray = read_image(stream, name="this frame", soon=True)
    height, width = gray.pixels.shape
    if height * width > LARGEST_FRAME_PIXELS:
        raise DataError(
            f"this frame: {width} x {height} pixels; at most {LARGEST_FRAME_PIXELS:,} are answered: crop or reduce it"
        )
    return gray


def _png(pixels: np.ndarray) -> bytes:
    return png(pixels, level=1)


def _jpeg(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92, subsampling=0)
    return stream.getvalue()
