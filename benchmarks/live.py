"""What an answer of the Live page takes: in its process, over the websocket and HTTP, idle, with four users, while a
study trains; and a clip's frames per second.

    python -m benchmarks.live [--width 16] [--image-size 256] [--frames 60] [--threads 2]
    python -m benchmarks.live --only camera idle               parts: process, clip, camera, idle, users, training

The network is made by hand: its mask is where the frame is brighter than half, one structure of ordinary size, as a
trained one would outline. Frames are PNG files of a bright disc in speckle. Round trips are those of a client on the
same machine: the frame's bytes go in, the drawn frame's bytes come back.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from engine.live_curves import live_curves
from engine.store import Store

STUDY = "speed"
PARTS = ("process", "clip", "camera", "idle", "users", "training")
TRAINING = """
name: beside
model: {width: 16, image_size: 128}
data: {kind: simulated, images: 85}
start_weights: {images: 400, batches: 400}
strategies: [whole network, block 9]
fractions: [80, 60, 40, 20]
"""
ROUNDS = 3
"""Of all ways in turn, so that none has a moment of its own."""
BROWSER_SECONDS = 20


def frame(side: int, seed: int) -> np.ndarray:
    """A bright disc in speckle, one quarter of the frame."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    inside = rows**2 + columns**2 < 0.28**2
    speckle = random.rayleigh(1.0, (side, side))
    return np.clip(np.where(inside, 190, 40) + 14 * speckle, 0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    """The pixels as a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def make_study(root: Path, width: int, image_size: int) -> str:
    """The id of a stored trial whose network outlines what is bright."""
    import hashlib

    import torch
    from safetensors.torch import save

    from engine.architectures import UNET_UNITS
    from engine.hardware import this_machine
    from engine.models.unet import UNet
    from engine.store import Store
    from engine.trial import Attempt, Trial

    torch.manual_seed(0)
    state = UNet(width).state_dict()
    for name in ("block1.0", "block1.1", "block9.1", "block9.2"):  # channel 0 hands the pixel on by the outermost skip
        state[f"{name}.weight"][0] = 0
        state[f"{name}.weight"][0, 0, 1, 1] = 1
    state["output.weight"][:] = 0
    state["output.weight"][0, 0], state["output.bias"][:] = 40, -20
    trial = Trial(
        data=hashlib.sha256(b"none").hexdigest(), split_by="image", split_seed=0, folds=5, fold=0, fraction=80.0,
        strategy="from scratch", model="unet", width=width, image_size=image_size, units=UNET_UNITS,
        learning_rate=1e-4, seed=0, start_weights=None, batch_size=2, patience=20, max_epochs=200,
        batches_per_epoch=27, shift=0.0, zoom=0.0, flip=False,
        precision="bfloat16" if this_machine().fast_bfloat16 else "float32", threads=1, device="cpu",
    )  # fmt: skip
    store = Store.at(root)
    store.begin(STUDY, f"name: {STUDY}\n")
    store.write_plan(STUDY, [trial], {})
    attempt = Attempt(trial=trial, number=1, state="completed", started="2026-01-01T00:00:00Z", seconds=0.0, host="")
    store.append(STUDY, attempt, weights=save(state))
    return trial.id


def tell(what: str, seconds: list[float]) -> None:
    """Print p50, p95 and the least in milliseconds; the least is what a machine without other work comes close to."""
    p50, p95, least = np.percentile(np.asarray(seconds) * 1000, (50, 95, 0))
    print(
        f"{what:>32}  p50 {p50:7.1f} ms  p95 {p95:7.1f} ms  least {least:6.1f} ms  "
        f"({len(seconds)} answers, load {os.getloadavg()[0]:.0f})",
        flush=True,
    )


def in_process(root: Path, trial: str, files: list[bytes], threads: int | None) -> None:
    """From the file's bytes to the drawn frame's bytes, by the server's worker."""
    from dashboard.inference.messages import Answer, Request
    from dashboard.inference.worker import InferenceWorker

    with InferenceWorker(str(root), threads=threads) as worker:
        for picture in ("PNG", "JPEG"):
            asked, steps = list[float](), list[dict[str, float]]()
            for place, file in enumerate([files[0], *files]):
                begun = time.perf_counter()
                said = worker.answer(Request(study=STUDY, trial_id=trial, frame=file, picture=picture))  # type: ignore[arg-type]
                if place:
                    asked.append(time.perf_counter() - begun)
                    assert isinstance(said, Answer)
                    steps.append(said.milliseconds)
            tell(f"asked to answered, {picture}", asked)
            for step in steps[0]:
                tell(f"{step}, {picture}", [one[step] / 1000 for one in steps])


def clip(root: Path, trial: str, frames: int, side: int, threads: int | None) -> None:
    """Frames per second of a clip, read from Motion JPEG, answered, drawn, and written as VP8."""
    import cv2

    from dashboard.inference.worker import InferenceWorker
    from dashboard.live.clips import answer_clip

    with tempfile.TemporaryDirectory() as folder, InferenceWorker(str(root), threads=threads) as worker:
        path = Path(folder) / "clip.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (side, side))
        still = frame(side, 0)
        for number in range(frames):
            writer.write(cv2.cvtColor(np.roll(still, number, axis=1), cv2.COLOR_GRAY2BGR))
        writer.release()
        for _ in range(2):
            *_, state = answer_clip(worker, path, trials=[(STUDY, trial)], labels=["a"], out=Path(folder), name="clip")
        tell("a clip's frame, without drawing", [value / 1000 for value in state.times])
        print(f"{'clip':>32}  {state.frames / state.seconds:.1f} frames per second, drawn and written", flush=True)


def by_websocket(address: str, trial: str, files: list[bytes]) -> list[float]:
    """Round trips of one frame after the other over the page's websocket."""
    from websockets.sync.client import connect

    taken = []
    with connect(f"{address.replace('http', 'ws')}/stream", max_size=None) as socket:
        socket.send(json.dumps({"study": STUDY, "trial": trial}))
        for file in files:
            begun = time.perf_counter()
            socket.send(file)
            answer = socket.recv()
            taken.append(time.perf_counter() - begun)
            assert isinstance(answer, bytes)
            assert b'"area_pixels"' in answer[:400]
    return taken


def by_http(address: str, trial: str, files: list[bytes]) -> list[float]:
    """Round trips of plain requests: the frame's bytes go in, JSON with mask and drawn frame comes back."""
    taken = []
    with httpx.Client(base_url=address, timeout=120) as client:
        for file in files:
            begun = time.perf_counter()
            answer = client.post("/frame", params={"study": STUDY, "trial": trial}, content=file)
            taken.append(time.perf_counter() - begun)
            assert answer.json()["drawn"]
    return taken


def by_api(address: str, trial: str, files: list[bytes]) -> list[float]:
    """Round trips over Gradio's API as raw requests: upload, ask, wait for the answer, fetch the drawn frame."""
    taken = []
    with httpx.Client(base_url=address, timeout=120) as client:
        for file in files:
            begun = time.perf_counter()
            uploaded = client.post("/gradio_api/upload", files={"files": ("frame.png", file)}).json()[0]
            data = [STUDY, trial, {"path": uploaded, "meta": {"_type": "gradio.FileData"}}, None]
            event = client.post("/gradio_api/call/predict", json={"data": data}).json()["event_id"]
            lines = client.get(f"/gradio_api/call/predict/{event}").text.splitlines()
            answer = json.loads([line[6:] for line in lines if line.startswith("data: ")][-1])
            client.get(answer[0]["url"]).raise_for_status()
            taken.append(time.perf_counter() - begun)
    return taken


def in_browser(address: str) -> None:
    """What the page itself says of its camera's frames: 640 x 480 of Chromium's made-up camera, two under way."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import OPTIONS, chromium

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=OPTIONS)
        page = browser.new_page(permissions=["camera"])
        page.goto(f"{address}/")
        page.get_by_role("tab", name="Camera or screen").click()
        page.locator('[data-camera="camera"]').click()
        figures = page.locator("#camera-figures dl")
        figures.wait_for(timeout=60_000)
        page.wait_for_timeout(1000 * BROWSER_SECONDS)
        print(f"{'camera in a browser':>32}  {' '.join(figures.inner_text().split())}", flush=True)
        browser.close()


def over_http(root: Path, trial: str, files: list[bytes], parts: Sequence[str]) -> None:
    """The camera in a browser, then each way: idle, with four users, and with four users while a study trains."""
    from tests.live_server import served

    ways: dict[str, Callable[[str, str, list[bytes]], list[float]]] = {
        "websocket": by_websocket, "plain HTTP": by_http, "Gradio's API": by_api,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as cache, served(root, Path(cache)) as server:
        by_websocket(server.address, trial, files[:3])
        if "camera" in parts:
            in_browser(server.address)
        for part, what, users in (
            ("idle", "idle", 1),
            ("users", "four users", 4),
            ("training", "four users, training", 4),
        ):
            if part not in parts:
                continue
            with _study(Path(cache)) if part == "training" else _nothing():
                taken: dict[str, list[float]] = {name: [] for name in ways}
                for _ in range(ROUNDS):
                    for name, ask in ways.items():
                        with ThreadPoolExecutor(users) as pool:
                            found = pool.map(lambda _, ask=ask: ask(server.address, trial, files), range(users))
                            taken[name] += [one for part in found for one in part]
                for name, seconds in taken.items():
                    tell(f"{name}, {what}", seconds)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _study(folder: Path) -> Iterator[None]:
    """A study that trains meanwhile, as `whichlayers run` does it."""
    (folder / "beside.yaml").write_text(textwrap.dedent(TRAINING))
    command = [sys.executable, "-m", "whichlayers", "run", "beside.yaml", "--store", "beside", "--cache", "cache"]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    ) as process:  # fmt: skip
        store = Store.at(folder / "beside")
        try:
            while not len(live_curves(store, "beside")):
                if process.poll() is not None:
                    raise SystemExit("the study beside ended before an epoch was trained")
                time.sleep(1)
            yield
            if store.progress("beside").get("state") != "running":
                print("  the study beside ended before the last of these")
        finally:
            process.terminate()
            process.wait(60)


def main() -> None:
    """Print p50 and p95 of each way."""
    parser = argparse.ArgumentParser(description="Milliseconds per frame of the Live page.")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    wanted = parser.parse_args()
    files = [png(frame(wanted.image_size, seed)) for seed in range(wanted.frames)]
    print(f"U-Net of width {wanted.width}, frames of {wanted.image_size} x {wanted.image_size}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        trial = make_study(Path(folder), wanted.width, wanted.image_size)
        if "process" in wanted.only:
            in_process(Path(folder), trial, files, wanted.threads)
        if "clip" in wanted.only:
            clip(Path(folder), trial, 2 * wanted.frames, wanted.image_size, wanted.threads)
        if {*wanted.only} - {"process", "clip"}:
            over_http(Path(folder), trial, files, wanted.only)


if __name__ == "__main__":
    main()
