"""The process that loads torch and answers frames; `dashboard.inference_worker` starts it and asks it."""

import contextlib
import io
import signal
import time
from collections import OrderedDict
from collections.abc import Iterable
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from dashboard.inference_messages import Answer, ClassAnswer, Maps, MapsRequest, Request
from engine.errors import DataError, StrategyError, WhichLayersError
from engine.images import GrayImage, read_image

if TYPE_CHECKING:
    from engine.classifying import LoadedClassifier
    from engine.inference import LoadedModel
    from engine.store import Store

MODELS_KEPT = 4
"""Networks that stay loaded; the one used longest ago goes first (124 MB each at width 64)."""

BYTES_KEPT = 1_200_000_000
"""Bytes of weights above which fewer stay loaded: two of VGG16."""

LARGEST_FRAME_PIXELS = 20_000_000
"""Pixels of the largest frame that is answered; phones' pictures have 12 million."""

GPU_BYTES_NEEDED = 2 * 2**30
"""Free GPU memory below which frames are answered by the processor, so that no trial runs out of memory."""


def serve(pipe_number: str, store_root: str, threads: str, cache: str) -> None:
    """Answer requests until the server closes the pipe or is gone. Runs in the process, and alone loads torch.

    `cache` holds the studies' images, which some classifiers need the mean of.
    """
    # Ctrl-C reaches every process of a terminal; this one ends when the server does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe = Connection(int(pipe_number))
    import torch

    from engine.inference import load_model, planned, said
    from engine.store import Store

    torch.set_num_threads(int(threads))
    store = Store.at(store_root)
    loaded: OrderedDict[tuple[str, str], LoadedModel | LoadedClassifier] = OrderedDict()
    with contextlib.suppress(EOFError, OSError):  # the server is gone
        pipe.send("up")
        while True:
            request: Request | MapsRequest = pipe.recv()
            key = (request.study, request.trial_id)
            reply: Answer | ClassAnswer | Maps | WhichLayersError | None
            try:
                if key not in loaded:
                    if said(planned(store, *key), "task", "segmentation") == "classification":
                        loaded[key] = _classifier(store, key, Path(cache))
                    else:
                        loaded[key] = load_model(store, *key, device=_device())
                    while len(loaded) > MODELS_KEPT or (len(loaded) > 1 and _bytes(loaded.values()) > BYTES_KEPT):
                        loaded.popitem(last=False)
                loaded.move_to_end(key)
                reply = _reply(store, loaded[key], request)
            except WhichLayersError as error:
                reply = error
            pipe.send(reply)


def _classifier(store: "Store", key: tuple[str, str], cache: Path) -> "LoadedClassifier":
    from engine.classifying import load_classifier  # only where classes are asked for: it loads readers of data

    return load_classifier(store, *key, cache=cache, device=_device())


def _bytes(loaded: "Iterable[LoadedModel | LoadedClassifier]") -> int:
    models = (one if hasattr(one, "network") else one.model for one in loaded)
    return sum(tensor.nbytes for model in models for tensor in model.network.state_dict().values())


def _reply(
    store: "Store", loaded: "LoadedModel | LoadedClassifier", request: Request | MapsRequest
) -> Answer | ClassAnswer | Maps | None:
    from engine.inference import LoadedModel

    if not isinstance(loaded, LoadedModel):
        if isinstance(request, MapsRequest):
            raise StrategyError("feature maps are shown of networks that outline structures; choose another study")
        return _classes(loaded, request.frame, request.scanner)
    return _maps(store, loaded, request) if isinstance(request, MapsRequest) else _answer(loaded, request.frame)


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
    gray = _read(frame)
    height, width = gray.pixels.shape
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


def _classes(loaded: "LoadedClassifier", frame: bytes | None, scanner: str) -> ClassAnswer | None:
    """How probable each class is for `frame`; None where there is none and the process only warms up."""
    from engine.classifying import classify

    if frame is None:
        sides = loaded.squares if isinstance(loaded.squares, dict) else {"": loaded.model.image_size}
        name, side = next(iter(sides.items()))
        _classes(loaded, _png(Image.fromarray(np.eye(side, dtype=np.uint8))), name)
        return None
    clock = [time.perf_counter()]
    gray = _read(frame)
    clock.append(time.perf_counter())
    found = classify(loaded, gray.pixels, scanner=scanner)
    clock.append(time.perf_counter())
    seen = _png(Image.fromarray(found.seen))
    clock.append(time.perf_counter())
    steps = [(after - before) * 1000 for before, after in pairwise(clock)]
    order = np.argsort(-found.probabilities, kind="stable").tolist()
    return ClassAnswer(
        classes=tuple(loaded.classes[place] for place in order),
        probabilities=tuple(float(found.probabilities[place]) for place in order),
        seen=seen,
        how=found.how,
        height=gray.pixels.shape[0],
        width=gray.pixels.shape[1],
        milliseconds=dict(zip(("decode", "network", "draw"), steps, strict=True)),
        scaled_range=gray.scaled_range,
    )


def _read(frame: bytes) -> GrayImage:
    gray = read_image(io.BytesIO(frame), name="this frame")
    height, width = gray.pixels.shape
    if height * width > LARGEST_FRAME_PIXELS:
        raise DataError(
            f"this frame: {width} x {height} pixels; at most {LARGEST_FRAME_PIXELS:,} are answered: crop or reduce it"
        )
    return gray


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1)  # level 6 takes four times as long for a tenth fewer bytes
    return stream.getvalue()
