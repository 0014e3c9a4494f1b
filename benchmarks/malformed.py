"""Malformed files against the readers: each must give one line of error, or frames of the size that was told.

    python -m benchmarks.malformed                 1,000 files, seed 0
    python -m benchmarks.malformed --files 50      a seeded twentieth, as the tests run it

Whole files of every kind are cut, get flipped bits, holes and foreign bytes, are joined with files of another kind,
claim sizes that they have not, or are bombs. They are read by a process of its own, which is given a minute per file: a
crash or a hang costs that file and is counted. Run it from the project's root: the whole files are those of the tests.
"""

import argparse
import gzip
import io
import json
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np

from engine.errors import DataError
from engine.images import open_clip, read_mask
from tests import made_files as made

SAMPLES = Path(__file__).parents[2] / "shared/data/upload_samples"
LARGEST_SAMPLE = 300_000
SECONDS_PER_FILE = 60
MOST_FRAMES_READ = 40
Damage = Callable[[bytes, np.random.Generator], bytes]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one file."""

    number: int
    made: str
    """What was done to which file."""
    result: str
    """`error`, `image`, or what went wrong."""
    seconds: float
    peak_mib: float
    """Largest memory of the process so far."""


@cache
def whole_files() -> dict[str, bytes]:
    """A sound file of every kind; real ones too where they lie beside the project."""
    frames, moving = made.clip_frames(), made.moving()
    volume = np.stack(frames)
    across = volume.transpose(2, 1, 0).copy()
    region = made.region((2, 1, 13, 9))
    files = {
        "gray.png": made.picture(made.GRAY),
        "colour.png": made.picture(made.COLOUR),
        "deep.png": made.picture(made.GRAY.astype(np.uint16) * 200),
        "gray.jpg": made.picture(made.COLOUR, "JPEG"),
        "pages.tif": made.picture(made.GRAY, "TIFF", save_all=True, append_images=_pages(frames[1:])),
        "packed.tif": made.picture(made.GRAY, "TIFF", compression="tiff_lzw"),
        "moving.gif": made.picture(made.GRAY, "GIF", save_all=True, append_images=_pages(frames[1:])),
        "gray.bmp": made.picture(made.GRAY, "BMP"),
        "volume.nii": made.nifti(across),
        "volume.nii.gz": made.nifti(across, packed=True),
        "second.nii": made.nifti(across, second=True),
        "volume.mha": made.metaimage(volume),
        "packed.mha": made.metaimage(volume, packed=True),
        "native.dcm": made.dicom(frames, regions=[region]),
        "implicit.dcm": made.dicom(frames, syntax=made.IMPLICIT),
        "colour.dcm": made.dicom([made.COLOUR]),
        "deep.dcm": made.dicom([made.GRAY.astype(np.uint16) * 16], BitsStored=12),
        "plain.dcm": made.dicom(frames, with_preamble=False),
        "rle.dcm": made.dicom(frames, syntax=made.RLE, encoded=[made.rle(frame) for frame in frames]),
        "jpeg.dcm": made.dicom(
            frames, syntax=made.JPEG, encoded=[made.picture(frame, "JPEG") for frame in frames], regions=[region]
        ),
        "lossless.dcm": made.dicom([made.GRAY], syntax=made.JPEG_LOSSLESS, encoded=[made.LOSSLESS_GRAY]),
        "lossless_colour.dcm": made.dicom([made.COLOUR], syntax=made.JPEG_LOSSLESS, encoded=[made.LOSSLESS_COLOUR]),
        "jpegls.dcm": made.dicom(frames, syntax=made.JPEG_LS, encoded=[made.jpeg_ls(frame) for frame in frames]),
        "jpeg2000.dcm": made.dicom(frames, syntax=made.JPEG_2000, encoded=[made.jpeg_2000(frame) for frame in frames]),
        "htj2k.dcm": made.dicom([made.GRAY], syntax=made.HTJ2K, encoded=[made.HTJ2K_GRAY]),
        "video.dcm": made.dicom(moving, syntax=made.H264, encoded=[made.video(moving)]),
        "clip.mp4": made.video(moving),
        "clip.avi": made.video(moving, ".avi", "MJPG"),
        "clip.webm": made.video(moving, ".webm", "VP80"),
        "clip.mpg": made.video(moving, ".mpg", "PIM1"),
    }
    for path in sorted(SAMPLES.glob("*/*")) if SAMPLES.is_dir() else ():
        if path.stat().st_size <= LARGEST_SAMPLE:
            files[path.name] = path.read_bytes()
    return files


def _pages(frames: list[np.ndarray]) -> list[made.Image.Image]:
    return [made.Image.fromarray(frame) for frame in frames]


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    """The first part of the file."""
    return content[: int(rng.integers(0, len(content)))]


def flip(content: bytes, rng: np.random.Generator) -> bytes:
    """One to sixty-four flipped bits anywhere."""
    changed = bytearray(content)
    for place in rng.integers(0, len(changed), int(2 ** rng.integers(0, 7))):
        changed[place] ^= 1 << int(rng.integers(0, 8))
    return bytes(changed)


def flip_header(content: bytes, rng: np.random.Generator) -> bytes:
    """Flipped bits in the first kilobyte, where sizes stand."""
    return flip(content[:1024], rng) + content[1024:]


def extreme(content: bytes, rng: np.random.Generator) -> bytes:
    """A number of the first two kilobytes becomes as large, or as small, as it can be."""
    changed, width = bytearray(content), int(rng.choice([1, 2, 4]))
    place = int(rng.integers(0, min(len(changed), 2048)))
    value = [b"\xff" * 4, b"\x00" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"][int(rng.integers(0, 4))]
    changed[place : place + width] = value[:width]
    return bytes(changed)


def hole(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes are gone from the middle."""
    start = int(rng.integers(0, len(content)))
    return content[:start] + content[start + int(rng.integers(1, 200)) :]


def foreign(content: bytes, rng: np.random.Generator) -> bytes:
    """Random bytes stand in the middle."""
    start = int(rng.integers(0, len(content)))
    return content[:start] + rng.bytes(int(rng.integers(1, 400))) + content[start:]


def joined(content: bytes, rng: np.random.Generator) -> bytes:
    """The head of the file, the rest of another."""
    others = list(whole_files().values())
    other = others[int(rng.integers(0, len(others)))]
    place = int(rng.integers(1, 600))
    return content[:place] + other[place:]


def noise(content: bytes, rng: np.random.Generator) -> bytes:
    """The first sixteen bytes of the file and random ones after them."""
    return content[:16] + rng.bytes(int(rng.integers(1, 4000)))


DAMAGES: tuple[Damage, ...] = (cut, flip, flip_header, extreme, hole, foreign, joined, noise)


def _claiming_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    packed = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def _sized_jpeg(width: int, height: int) -> bytes:
    stream = made.picture(made.GRAY, "JPEG")
    place = stream.index(b"\xff\xc0") + 5
    return stream[:place] + struct.pack(">HH", height, width) + stream[place + 4 :]


def _sized_jpeg_2000(width: int, height: int, *, tile: int = 0) -> bytes:
    stream = bytearray(made.jpeg_2000(made.GRAY))
    place = stream.index(b"\xff\x51") + 6
    stream[place : place + 8] = struct.pack(">II", width, height)
    if tile:
        stream[place + 16 : place + 24] = struct.pack(">II", tile, tile)
    return bytes(stream)


def _jpeg_ls_behind_a_size(width: int, height: int) -> bytes:
    """A JPEG-LS stream of so many pixels, behind a comment that reads as the size in a JPEG 2000 stream's head."""
    stream = made.jpeg_ls(made.GRAY)
    place = stream.index(b"\xff\xf7") + 5
    stream = stream[:place] + struct.pack(">HH", height, width) + stream[place + 4 :]
    comment = made.jpeg_2000(made.GRAY)[:60]
    return stream[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + stream[2:]


def _boxed(stream: bytes, before: bytes) -> bytes:
    """A JPEG 2000 stream in the boxes of a JP2 file, behind a free box that holds `before`."""
    boxes = [(b"jP  ", b"\r\n\x87\n"), (b"free", before), (b"jp2c", stream)]
    return b"".join(struct.pack(">I4s", len(content) + 8, kind) + content for kind, content in boxes)


def bombs() -> dict[str, Callable[[], bytes]]:
    """Files that claim more than they hold, or unpack to it."""
    shape = {"Rows": 65000, "Columns": 65000}
    zeros = np.zeros((8, 8, 1), np.uint8)

    def claiming_nifti(*sides: int) -> bytes:
        content = bytearray(made.nifti(zeros))
        content[40:56] = struct.pack("<8h", len(sides), *sides, *[1] * (7 - len(sides)))
        return bytes(content)

    def dicom(**elements: int | None) -> Callable[[], bytes]:
        return lambda: made.dicom(made.clip_frames(), **elements)

    return {
        "PNG of 60,000 x 60,000": lambda: _claiming_png(60_000, 60_000),
        "PNG of 2,147,483,647 x 1": lambda: _claiming_png(2**31 - 1, 1),
        "PNG of 7,999 x 8,000 with nothing in it": lambda: _claiming_png(7_999, 8_000),
        "JPEG of 65,500 x 65,500": lambda: _sized_jpeg(65_500, 65_500),
        "GIF of 65,535 x 65,535": lambda: b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(30),
        "NIfTI of 32,767 x 32,767": lambda: claiming_nifti(32767, 32767),
        "NIfTI of 8 x 8 and 35 billion frames": lambda: claiming_nifti(8, 8, 32767, 32767, 32),
        "gzip of a NIfTI of 8 x 8 and a billion frames": lambda: gzip.compress(claiming_nifti(8, 8, 32767, 32767)),
        "gzip that unpacks to 500 MB of a frame that is not there": lambda: gzip.compress(
            claiming_nifti(7000, 7000, 85)[:352] + bytes(1000)
        ),
        "gzip of gzip": lambda: gzip.compress(gzip.compress(bytes(10**7))),
        "MetaImage of 10^12 pixels": lambda: made.metaimage(zeros).replace(
            b"DimSize = 1 8 8", b"DimSize = 1000000 1000000 1"
        ),
        "MetaImage with a side of 300 digits": lambda: made.metaimage(zeros).replace(
            b"DimSize = 1 8 8", b"DimSize = 8 8 1" + b"0" * 300
        ),
        "packed MetaImage of 40 GB": lambda: made.metaimage(zeros, packed=True).replace(
            b"DimSize = 1 8 8", b"DimSize = 8000 5000 1000"
        ),
        "MetaImage that names /etc/passwd": lambda: made.metaimage(zeros, named="/etc/passwd"),
        "DICOM of 65,000 x 65,000": dicom(**shape),
        "DICOM of two billion frames": dicom(NumberOfFrames=2**31 - 1),
        "DICOM that lacks frames": dicom(NumberOfFrames=500),
        "DICOM with fewer rows than pixels": dicom(Rows=3),
        "DICOM of more columns than pixels": dicom(Columns=999),
        "DICOM of no rows": dicom(Rows=0),
        "DICOM without rows": dicom(Rows=None),
        "DICOM without pixels": dicom(PixelData=None),
        "DICOM of 16 bits that are 8": dicom(BitsAllocated=16, BitsStored=16),
        "DICOM of colour that is gray": dicom(SamplesPerPixel=3, PhotometricInterpretation="RGB"),
        "DICOM of a palette without one": dicom(PhotometricInterpretation="PALETTE COLOR"),
        "DICOM whose JPEG is 65,500 x 65,500": lambda: made.dicom(
            [made.GRAY], syntax=made.JPEG, encoded=[_sized_jpeg(65_500, 65_500)]
        ),
        "DICOM whose JPEG 2000 is 60,000 x 60,000": lambda: made.dicom(
            [made.GRAY], syntax=made.JPEG_2000, encoded=[_sized_jpeg_2000(60_000, 60_000)]
        ),
        "DICOM whose JPEG-LS is 46,000 x 46,000 behind another size": lambda: made.dicom(
            [made.GRAY], syntax=made.JPEG_LS, encoded=[_jpeg_ls_behind_a_size(46_000, 46_000)]
        ),
        "DICOM whose JPEG 2000 is 60,000 x 60,000 behind another size": lambda: made.dicom(
            [made.GRAY], syntax=made.JPEG_2000,
            encoded=[_boxed(_sized_jpeg_2000(60_000, 60_000, tile=60_000), made.jpeg_2000(made.GRAY))],
        ),
        "DICOM whose JPEG 2000 has a billion tiles": lambda: made.dicom(
            [np.zeros((8000, 8000), np.uint8)[:1]], syntax=made.JPEG_2000, Rows=8000, Columns=8000,
            encoded=[_sized_jpeg_2000(8000, 8000, tile=1)],
        ),
        "DICOM whose RLE unpacks to 60 MB": lambda: made.dicom(
            [made.GRAY], syntax=made.RLE, encoded=[struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * 500_000]
        ),
        "deflated DICOM of 50 MB": lambda: made.deflated(50_000_000),
        "deflated DICOM of 50 MB, said late": lambda: made.deflated(50_000_000, behind=6000),
        "AVI of 60,000 x 60,000": lambda: _sized_avi(60_000, 60_000),
        "text": lambda: b"not an image\n" * 20,
        "nothing": lambda: b"",
        "a playlist that names another file": lambda: b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
    }  # fmt: skip


def _sized_avi(width: int, height: int) -> bytes:
    content = bytearray(made.video(made.moving(), ".avi", "MJPG"))
    for mark, skipped in ((b"avih", 40), (b"strf", 12)):
        place = content.index(mark) + skipped
        content[place : place + 8] = struct.pack("<II", width, height)
    return bytes(content)


def malformed(number: int, seed: int) -> tuple[str, bytes]:
    """What was done, and the file: every tenth is a bomb or a lie, every twentieth is whole."""
    rng = np.random.default_rng([seed, number])
    if number % 20 == 10:
        names = list(whole_files())
        name = names[number // 20 % len(names)]
        return f"whole {name}", whole_files()[name]
    if number % 10 == 0:
        kinds = bombs()
        name = list(kinds)[number // 20 % len(kinds)]
        return name, kinds[name]()
    names = list(whole_files())
    name, damage = names[int(rng.integers(0, len(names)))], DAMAGES[int(rng.integers(0, len(DAMAGES)))]
    return f"{damage.__name__} {name}", damage(whole_files()[name], rng)


def outcome(number: int, seed: int) -> Outcome:
    """What reading the file gives: its frames, and itself as a mask."""
    what, content = malformed(number, seed)
    name = f"{number}.bin"
    start = time.perf_counter()
    is_whole = what.startswith("whole")
    try:
        result = read_all(content, name)
        if is_whole and result == "error":
            result = "a whole file is not read"
    except Exception as error:  # what this benchmark is there to find
        result = f"{type(error).__name__}: {str(error)[:200]}"
    seconds = time.perf_counter() - start
    return Outcome(number=number, made=what, result=result, seconds=seconds, peak_mib=peak_mib())


def peak_mib() -> float:
    """Largest memory that this process had. `getrusage` would count what its parent had before it, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def read_all(content: bytes, name: str) -> str:
    """`image`, `error`, or what is wrong with either; the file is read as frames and as a mask."""
    told = []
    try:
        read_mask(io.BytesIO(content), name=name)
    except DataError as error:
        told.append(error)
    result = "error"
    try:
        with open_clip(io.BytesIO(content), name=name) as clip:
            size = (clip.kept.height, clip.kept.width)
            for frame in clip.frames(range(min(clip.kept.frames, MOST_FRAMES_READ))):
                result = "image"
                if frame.shape != size or frame.dtype != np.uint8:
                    return f"a frame of {frame.shape}, told as {size}"
    except DataError as error:
        told.append(error)
        result = "error"
    for error in told:
        line = str(error)
        names_somebody = made.PATIENT in line or made.NUMBER in line
        if len(error.problems) != 1 or not line.startswith(f"{name}: ") or "\n" in line or len(line) > 600:
            return f"not one line of error: {line[:200]}"
        if names_somebody:
            return f"names the patient: {line[:200]}"
    return result


def outcomes(files: int, seed: int) -> list[Outcome]:
    """What became of each file, read by processes that may die."""
    found: list[Outcome] = []
    while len(found) < files:
        command = [sys.executable, "-m", "benchmarks.malformed", "--worker", str(len(found)), "--files", str(files)]
        with tempfile.TemporaryFile("w+") as told:
            done = subprocess.run([*command, "--seed", str(seed)], stdout=told, stderr=subprocess.DEVNULL, check=False)
            told.seek(0)
            found.extend(Outcome(**json.loads(line)) for line in told)
        if len(found) < files:
            number = len(found)
            result = "hang" if done.returncode == -signal.SIGALRM else f"crash ({done.returncode})"
            what = malformed(number, seed)[0]
            found.append(Outcome(number=number, made=what, result=result, seconds=0, peak_mib=0))
    return found


def main() -> None:
    """Prints what became of the files, the time of each, and the memory of the process that read them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", type=int, default=None, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker is not None:
        for number in range(chosen.worker, chosen.files):
            signal.alarm(SECONDS_PER_FILE)
            print(json.dumps(asdict(outcome(number, chosen.seed))), flush=True)
        return
    start = time.perf_counter()
    found = outcomes(chosen.files, chosen.seed)
    wrong = [one for one in found if one.result not in ("error", "image")]
    for one in wrong:
        print(f"file {one.number} ({one.made}): {one.result}")
    counted = Counter(one.result for one in found if one.result in ("error", "image"))
    seconds = np.array([one.seconds for one in found])
    slowest = max(found, key=lambda one: one.seconds)
    p50, p95 = np.percentile(seconds, (50, 95)) * 1000
    peak = max(one.peak_mib for one in found)
    print(f"{len(found)} files (seed {chosen.seed}): {counted['error']} one line of error, {counted['image']} an ",
          f"image, {len(wrong)} wrong; {time.perf_counter() - start:.0f} s in all, {p50:.0f} ms each (median), ",
          f"{p95:.0f} ms (95 %), {slowest.seconds:.1f} s (longest: {slowest.made}); peak memory {peak:.0f} MiB",
          sep="")  # fmt: skip
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
