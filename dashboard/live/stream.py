"""The Live page's camera and screen: frames over a websocket of our own, the latest one wins.

A browser says which trial is meant in JSON (`study`, `trial`, `scanner`, `overlay`) and then sends frames as JPEG or
PNG. Each answer is four bytes that hold the length of a JSON, the JSON, and the drawn frame as JPEG. With `study2` and
`trial2` a second trial answers the same frame: the JSON then has `pair`, what each of them says, and `bytes`, the
lengths of the two JPEGs, which follow each other. `frame` counts the frames that were sent, from 1: those that come
while one is answered replace each other. `unlike` and its distances are those of a frame at most three seconds older;
None where nothing was found so lately, and until the training images are known.
"""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from dashboard.inference.messages import Answer, ClassAnswer, NeighboursRequest, Request, area_mm2
from dashboard.inference.worker import InferenceWorker
from dashboard.live import words
from dashboard.live.likeness import UNKNOWN, Likeness
from dashboard.live.threads import waited
from engine.errors import DataError, WhichLayersError
from engine.overlays import OVERLAYS, Overlay

LARGEST_FRAME_BYTES = 8 * 2**20
STREAMS = 64
"""That are open at once: each holds a few frames, and all of them share one network at a time."""

LIKE_SECONDS = 3.0
"""Age of the frame that was looked at, from which on nothing is said of the one that is answered."""
LOOK_SECONDS = 1.0
"""Between two looks at whether the frames are unlike the training images: each costs about as much as an answer."""


@dataclass(kw_only=True)
class _Waiting:
    """What was said last, and the latest frame that nobody has answered yet."""

    choice: dict[str, str] = field(default_factory=dict)
    frame: bytes | None = None
    number: int = 0
    """Of the latest frame, from 1."""
    looks: list[NeighboursRequest] = field(default_factory=list)
    """The latest frame by each trial that answered it, where nobody has looked yet at how unlike it is."""
    looks_of: float = 0.0
    """When the frame of `looks` came, by the monotonic clock."""
    likeness: dict[tuple[str, str], tuple[float, dict[str, Any]]] = field(default_factory=dict)
    """When the frame came that was looked at last, and what was found; by study and trial."""

    def likeness_of(self, study: str, trial: str) -> dict[str, Any]:
        """What was found of a frame that is not too old."""
        came, found = self.likeness.get((study, trial), (0.0, UNKNOWN))
        return found if time.monotonic() - came <= LIKE_SECONDS else UNKNOWN

    come: asyncio.Event = field(default_factory=asyncio.Event)
    gone: bool = False


class Streams:
    """All cameras and screens of a server."""

    def __init__(self, worker: InferenceWorker, known: Likeness) -> None:
        self._worker, self._known, self._open = worker, known, 0

    async def answer(self, websocket: WebSocket) -> None:
        """Answer frames until the page is left; closed with 1013 and a line where too many others are open."""
        if self._open >= STREAMS:
            await websocket.accept()
            await websocket.close(1013, f"{STREAMS} cameras are open on this server; try again when one is closed.")
            return
        self._open += 1
        try:
            await stream(websocket, self._worker, self._known)
        finally:
            self._open -= 1


async def stream(websocket: WebSocket, worker: InferenceWorker, known: Likeness) -> None:
    """Answer frames until the page is left."""
    await websocket.accept()
    waiting = _Waiting()
    listening = asyncio.create_task(_listen(websocket, waiting))
    looking = asyncio.create_task(_look(waiting, known))
    try:
        while True:
            await waiting.come.wait()
            waiting.come.clear()
            if waiting.gone:
                return
            frame, waiting.frame = waiting.frame, None
            if frame is None:
                continue
            number, choice, came = waiting.number, dict(waiting.choice), time.monotonic()
            said, picture = await waited(answered, worker, choice, frame)
            sound = [one for one in said.get("pair", [said]) if "problem" not in one]
            for one in sound:
                one.update(waiting.likeness_of(one["study"], one["trial"]))
            waiting.looks_of, waiting.looks = came, [
                NeighboursRequest(
                    study=one["study"], trial_id=one["trial"], frame=frame, scanner=choice.get("scanner", ""),
                    pictures=False,
                )
                for one in sound
            ]  # fmt: skip
            head = json.dumps({**said, "frame": number}).encode()
            await websocket.send_bytes(len(head).to_bytes(4, "big") + head + picture)
    except (WebSocketDisconnect, RuntimeError):
        return  # it went away while it was answered
    finally:
        listening.cancel()
        looking.cancel()
        if websocket.application_state != WebSocketState.DISCONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect):
                await websocket.close()


async def _listen(websocket: WebSocket, waiting: _Waiting) -> None:
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                break
            if (content := message.get("bytes")) is not None:
                # No more than tells that it is too large waits for its turn.
                waiting.frame, waiting.number = content[: LARGEST_FRAME_BYTES + 1], waiting.number + 1
                waiting.come.set()
            else:
                waiting.choice = _choice(message.get("text") or "")
    except RuntimeError:
        pass
    waiting.gone = True
    waiting.come.set()


async def _look(waiting: _Waiting, known: Likeness) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        came, looks, waiting.looks = waiting.looks_of, waiting.looks, []
        for request in looks:
            waiting.likeness[request.study, request.trial_id] = came, await waited(known.of, request)


def _choice(text: str) -> dict[str, str]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {str(key): value for key, value in said.items() if isinstance(value, str)} if isinstance(said, dict) else {}


def answered(worker: InferenceWorker, choice: dict[str, str], frame: bytes) -> tuple[dict[str, Any], bytes]:
    """What the chosen trial, or two, say of a frame, for JSON, and the drawn frames (JPEG; empty where there is none).

    Both trials are given the same bytes, and what they say leaves together.
    """
    first, drawn = _answered(worker, choice, frame)
    if not choice.get("study2") or not choice.get("trial2"):
        return first, drawn
    other = {**choice, "study": choice["study2"], "trial": choice["trial2"]}
    second, drawn_beside = _answered(worker, other, frame)
    return {"pair": [first, second], "bytes": [len(drawn), len(drawn_beside)]}, drawn + drawn_beside


def _answered(worker: InferenceWorker, choice: dict[str, str], frame: bytes) -> tuple[dict[str, Any], bytes]:
    chosen = {"study": choice.get("study", ""), "trial": choice.get("trial", "")}
    try:
        if len(frame) > LARGEST_FRAME_BYTES:
            most = LARGEST_FRAME_BYTES // 2**20
            raise DataError(f"a frame of more than {most} MB; at most {most} MB are answered: send a smaller one")
        overlay: Overlay = next((one for one in OVERLAYS if one == choice.get("overlay")), "outline")
        if not chosen["study"] or not chosen["trial"]:
            raise DataError("no trial chosen; choose one above")
        answer = worker.answer(
            Request(
                study=chosen["study"],
                trial_id=chosen["trial"],
                frame=frame,
                scanner=choice.get("scanner", ""),
                overlay=overlay,
                picture="JPEG",
            )
        )
    except WhichLayersError as error:
        return {**chosen, "problem": words.problem(error)}, b""
    said = {**chosen, **told(answer)}
    if isinstance(answer, ClassAnswer):
        return {**said, "bars": words.class_bars(answer)}, b""
    return said, answer.outlined


def told(answer: Answer | ClassAnswer) -> dict[str, Any]:
    """An answer as programs read it; areas in mm2 are None where the size of a pixel is unknown."""
    shared = {"width": answer.width, "height": answer.height, "milliseconds": answer.milliseconds}
    if isinstance(answer, ClassAnswer):
        return {**shared, "classes": dict(zip(answer.classes, answer.probabilities, strict=True))}
    return {
        **shared,
        "area_pixels": answer.area_pixels,
        "area_mm2": area_mm2(answer.kept, answer.area_pixels),
        "structures": {
            name: {"area_pixels": pixels, "area_mm2": area_mm2(answer.kept, pixels)}
            for name, pixels in answer.areas_pixels.items()
        },
    }
