"""Processor time of a frame from the file to gray values, for each kind of file.

    python -m benchmarks.decoding                 real files where they lie beside the project, and made ones

Made frames are speckle of 640 x 480. Each file is read to its end, up to 60 frames, five times; the processor time of a
frame is that of the fastest reading divided by its frames, opening included. Run it from the project's root.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from engine.images import open_clip
from tests import made_files as made

SAMPLES = Path(__file__).parents[2] / "shared/data/upload_samples"
HEIGHT, WIDTH, FRAMES = 480, 640, 8
MOST_FRAMES = 60


def speckle(frames: int) -> list[np.ndarray]:
    """Smooth noise as bright and as grained as B-mode images."""
    rng = np.random.default_rng(0)
    coarse = [rng.rayleigh(40, (HEIGHT // 3, WIDTH // 3)).clip(0, 255).astype(np.uint8) for _ in range(frames)]
    return [np.asarray(Image.fromarray(one).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) for one in coarse]


def made_files() -> dict[str, bytes]:
    """A file of every kind that is not among the real ones."""
    frames = speckle(FRAMES)
    volume = np.stack(frames)

    def encoded(syntax: str, encode: Callable[[np.ndarray], bytes]) -> bytes:
        return made.dicom(frames, syntax=syntax, encoded=[encode(frame) for frame in frames])

    return {
        "PNG": made.picture(frames[0]),
        "JPEG": made.picture(frames[0], "JPEG", quality=90),
        "TIFF, LZW": made.picture(frames[0], "TIFF", compression="tiff_lzw"),
        "NIfTI": made.nifti(volume.transpose(2, 1, 0).copy()),
        "NIfTI, gzip": made.nifti(volume.transpose(2, 1, 0).copy(), packed=True),
        "MetaImage": made.metaimage(volume),
        "MetaImage, packed": made.metaimage(volume, packed=True),
        "DICOM, uncompressed": made.dicom(frames),
        "DICOM, RLE": encoded(made.RLE, made.rle),
        "DICOM, JPEG": encoded(made.JPEG, lambda frame: made.picture(frame, "JPEG", quality=90)),
        "DICOM, JPEG-LS": encoded(made.JPEG_LS, made.jpeg_ls),
        "DICOM, JPEG 2000": encoded(made.JPEG_2000, made.jpeg_2000),
        "video, MPEG-4 in DICOM": made.dicom(frames, syntax=made.H264, encoded=[made.video(frames)]),
        "video, VP8 in WebM": made.video(frames, ".webm", "VP80"),
        "video, Motion JPEG in AVI": made.video(frames, ".avi", "MJPG"),
    }


def milliseconds_per_frame(source: Path | bytes, rounds: int) -> tuple[float, int, int, int]:
    """Processor time of a frame, and the frames that were read with their height and width."""
    best, frames, height, width = np.inf, 0, 0, 0
    for _ in range(rounds):
        start = time.process_time()
        with open_clip(source if isinstance(source, Path) else io.BytesIO(source), name="x") as clip:
            frames = sum(1 for _ in clip.frames(range(min(clip.kept.frames, MOST_FRAMES))))
            height, width = clip.kept.source_height, clip.kept.source_width
        best = min(best, (time.process_time() - start) * 1000 / frames)
    return best, frames, height, width


def main() -> None:
    """Prints a row per file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    real = {path.name: path for path in sorted(SAMPLES.glob("*/*"))} if SAMPLES.is_dir() else {}
    print("| file | frames read | size | ms per frame |\n|---|---:|---:|---:|")
    for name, source in {**made_files(), **real}.items():
        best, frames, height, width = milliseconds_per_frame(source, rounds)
        print(f"| {name} | {frames} | {width} x {height} | {best:.1f} |")


if __name__ == "__main__":
    main()
