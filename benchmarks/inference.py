"""Milliseconds from a frame's file to the outlined picture's file, through the inference process.

    python benchmarks/inference.py [--width 16] [--image-size 128] [--frames 50] [--threads 2]

The network has random weights, so its masks are in many pieces: drawing takes longer than for one structure.
Frames are 640 x 480 PNGs of smooth noise.
"""

import argparse
import hashlib
import io
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def frames(count: int) -> list[bytes]:
    """PNG files of smooth noise, 640 x 480."""
    random = np.random.default_rng(0)
    files = []
    for _ in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (12, 16), dtype=np.uint8))
        stream = io.BytesIO()
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(stream, "PNG")
        files.append(stream.getvalue())
    return files


def make_study(root: Path, width: int, image_size: int) -> tuple[str, str]:
    """(study, trial id) of a stored trial with random weights."""
    from safetensors.torch import save

    from engine.architectures import UNET_UNITS
    from engine.hardware import this_machine
    from engine.models.unet import UNet
    from engine.store import Store
    from engine.trial import Attempt, Trial

    trial = Trial(
        data=hashlib.sha256(b"none").hexdigest(), split_by="image", split_seed=0, folds=5, fold=0, fraction=80.0,
        strategy="from scratch", model="unet", width=width, image_size=image_size, units=UNET_UNITS,
        learning_rate=1e-4, seed=0, start_weights=None, batch_size=2, patience=20, max_epochs=200,
        batches_per_epoch=27, shift=0.0, zoom=0.0, flip=False,
        precision="bfloat16" if this_machine().fast_bfloat16 else "float32", threads=1, device="cpu",
    )  # fmt: skip
    store = Store.at(root)
    store.begin("speed", "name: speed\n")
    store.write_plan("speed", [trial], {})
    attempt = Attempt(trial=trial, number=1, state="completed", started="2026-01-01T00:00:00Z", seconds=0.0, host="")
    store.append("speed", attempt, weights=save(UNet(width).state_dict()))
    return "speed", trial.id


def main() -> None:
    """Print p50 and p95 of each step."""
    from dashboard.inference.worker import InferenceWorker

    parser = argparse.ArgumentParser(description="Milliseconds per frame of the Live page.")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--threads", type=int, default=None)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study, trial_id = make_study(Path(folder), wanted.width, wanted.image_size)
        with InferenceWorker(folder, threads=wanted.threads) as worker:
            files = frames(wanted.frames)
            begun = time.perf_counter()
            worker.predict(study, trial_id, files[0])
            print(f"first answer, process start included: {time.perf_counter() - begun:.1f} s")
            rows: list[dict[str, float]] = []
            for file in files:
                begun = time.perf_counter()
                steps = worker.predict(study, trial_id, file).milliseconds
                rows.append({**steps, "asked to answered": (time.perf_counter() - begun) * 1000})
    print(f"width {wanted.width}, {wanted.image_size} x {wanted.image_size}, {wanted.frames} frames of 640 x 480")
    for step in rows[0]:
        p50, p95 = np.percentile([row[step] for row in rows], (50, 95))
        print(f"{step:>18}  p50 {p50:7.1f} ms   p95 {p95:7.1f} ms")


if __name__ == "__main__":
    main()
