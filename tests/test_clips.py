"""NIfTI, MetaImage and video; what a clip tells of itself; and that memory does not grow with its length."""

import gzip
import io
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.errors import DataError
from engine.images import is_image_file, limits, open_clip, read_image, read_mask
from tests import made_files as made
from tests.made_files import GRAY, clip_frames, metaimage, moving, nifti, video
from tests.made_folders import problems_of

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT.parent / "shared/data/upload_samples"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real files to upload are not on this machine")
CLIP = clip_frames()
VOLUME = np.stack(CLIP)
ACROSS = VOLUME.transpose(2, 1, 0).copy()


def frames_of(content: bytes) -> list[np.ndarray]:
    with open_clip(io.BytesIO(content), name="x") as clip:
        return list(clip.frames())


def refused(content: bytes) -> str:
    (line,) = problems_of(lambda: frames_of(content))
    assert line.startswith("x: ")
    return line


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_a_nifti_volume_is_read_plane_by_plane(packed: bool, second: bool) -> None:
    content = nifti(ACROSS, packed=packed, second=second, spacing=(0.1, 0.2, 1))
    np.testing.assert_array_equal(frames_of(content), CLIP)
    with open_clip(io.BytesIO(content)) as clip:
        assert clip.kept.spacing_mm == pytest.approx((0.2, 0.1))
        np.testing.assert_array_equal(list(clip.frames(range(4, 5))), CLIP[4:])


@pytest.mark.parametrize(
    ("unit", "spacing", "found", "said"),
    [
        ("micron", (100, 200, 1), (0.2, 0.1), ()),
        ("unknown", (1, 1, 1), None, ("the header names no unit: the pixel size is unknown",)),
        ("unknown", (0.1, 0.2, 1), (0.2, 0.1), ("the header names no unit: taken as millimetres",)),
        ("mm", (1, 1, 1), (1, 1), ()),
    ],
)
def test_a_nifti_file_that_names_no_unit_makes_up_no_pixel_size(
    unit: str, spacing: tuple[float, ...], found: tuple[float, float] | None, said: tuple[str, ...]
) -> None:
    with open_clip(io.BytesIO(nifti(ACROSS, unit=unit, spacing=spacing))) as clip:
        assert clip.kept.spacing_mm == (None if found is None else pytest.approx(found))
        assert clip.kept.notes == said


def test_further_axes_of_a_nifti_file_are_frames_and_a_fourth_alone_is_time() -> None:
    content = nifti(ACROSS[:, :, None], spacing=(0.1, 0.2, 1, 0.04))
    with open_clip(io.BytesIO(content)) as clip:
        assert (clip.kept.frames, clip.kept.frame_ms) == (5, pytest.approx(40))
    np.testing.assert_array_equal(frames_of(content), CLIP)
    assert len(frames_of(nifti(np.zeros((4, 3, 2, 5), np.uint8)))) == 10


def test_nifti_of_colour_becomes_luma() -> None:
    colours = np.ascontiguousarray(made.COLOUR.transpose(1, 0, 2))[:, :, None]
    packed = colours.view([("R", "u1"), ("G", "u1"), ("B", "u1")])[..., 0]
    np.testing.assert_array_equal(frames_of(nifti(packed)), [np.asarray(Image.fromarray(made.COLOUR).convert("L"))])


@pytest.mark.parametrize("packed", [False, True])
def test_a_metaimage_with_its_pixels_in_it_is_read(packed: bool) -> None:
    content = metaimage(VOLUME, packed=packed, spacing=(0.1, 0.2, 1))
    np.testing.assert_array_equal(frames_of(content), CLIP)
    with open_clip(io.BytesIO(content)) as clip:
        assert clip.kept.spacing_mm == (0.2, 0.1)
        np.testing.assert_array_equal(list(clip.frames(range(1, 5, 2))), CLIP[1::2])


def test_what_stands_behind_a_packed_metaimage_is_not_read() -> None:
    class Counted(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1, /) -> bytes:
            content = super().read(size)
            self.count += len(content)
            return content

    stream = Counted(metaimage(VOLUME, packed=True) + bytes(40 * 2**20))
    with open_clip(stream) as clip:
        np.testing.assert_array_equal(list(clip.frames()), CLIP)
    assert stream.count < 4 * 2**20
    short = metaimage(VOLUME[:2], packed=True).replace(b"16 12 2", b"16 12 5") + bytes(40 * 2**20)
    stream = Counted(short)
    with open_clip(stream) as clip, pytest.raises(DataError, match="ends within frame 3 of 5"):
        list(clip.frames())
    assert stream.count < 4 * 2**20


def test_a_metaimage_of_another_byte_order_is_read() -> None:
    deep = (VOLUME.astype(np.int16) - 40) * 100
    np.testing.assert_array_equal(frames_of(metaimage(deep, big=True)), frames_of(metaimage(deep)))
    assert read_image(io.BytesIO(metaimage(deep, big=True)), frame=0).scaled_range == (deep[0].min(), deep[0].max())


def test_a_metaimage_finds_its_pixels_beside_it_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(VOLUME.tobytes())
    (tmp_path / "a.mhd").write_bytes(metaimage(VOLUME, named="a.raw"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.mhd").pixels, CLIP[2])
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/link.raw").symlink_to(tmp_path / "a.raw")
    for named, words in [
        ("none.raw", "no file 'none.raw' beside it"),
        ("../a.raw", "is not a file beside it"),
        ("/etc/passwd", "is not a file beside it"),
        ("link.raw", "a link to another folder"),
    ]:
        (tmp_path / "inner/a.mhd").write_bytes(metaimage(VOLUME, named=named))
        (line,) = problems_of(lambda: read_image(tmp_path / "inner/a.mhd"))
        assert words in line
    assert "lie in another file, 'a.raw'; save both as one .mha" in refused(metaimage(VOLUME, named="a.raw"))


@pytest.mark.parametrize(
    ("ending", "code"), [(".mp4", "mp4v"), (".mov", "mp4v"), (".avi", "MJPG"), (".webm", "VP80"), (".mpg", "PIM1")]
)
def test_a_video_is_read_frame_by_frame(ending: str, code: str, tmp_path: Path) -> None:
    frames = moving()
    (tmp_path / f"clip{ending}").write_bytes(video(frames, ending, code))
    with open_clip(tmp_path / f"clip{ending}") as clip:
        assert (clip.kept.frames, clip.kept.height, clip.kept.width) == (6, 48, 64)
        assert clip.kept.frame_ms == pytest.approx(40)
        assert np.abs(np.array(list(clip.frames())).astype(int) - frames).max() < 6
        (third,) = clip.frames(range(3, 4))
        assert np.abs(third.astype(int) - frames[3]).max() < 6
    image = read_image(tmp_path / f"clip{ending}")
    assert image.frame == 3
    np.testing.assert_array_equal(image.pixels, third)


@pytest.mark.parametrize(("ending", "code"), [(".mp4", "mp4v"), (".webm", "VP80")])
def test_of_a_long_video_somebody_waits_for_a_frame_of_its_first_part_alone(
    ending: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.images.reading.FRAMES_SOON", 4)
    content = video(moving(), ending, code)
    soon = read_image(io.BytesIO(content), soon=True)
    assert soon.frame == 2
    np.testing.assert_array_equal(soon.pixels, read_image(io.BytesIO(content), frame=2).pixels)
    assert read_image(io.BytesIO(content)).frame == 3
    monkeypatch.setattr("engine.images.reading.FRAMES_SOON", 300)
    assert read_image(io.BytesIO(content), soon=True).frame == 3


def test_an_uploaded_video_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert len(frames_of(video(moving()))) == 6
    with pytest.raises(DataError, match="no video that can be decoded"):
        frames_of(video(moving())[:200])
    assert list(tmp_path.iterdir()) == []


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(video(moving()))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{tmp_path}/clip.mp4\n#EXT-X-ENDLIST\n".encode()
    assert "not a PNG" in refused(playlist)
    # Behind the mark of an MPEG stream, which is what lets it through to FFmpeg.
    assert "no video that can be decoded" in refused(b"\x00\x00\x01\xba" + playlist)


def test_a_mask_in_a_volume_is_that_frame_and_value() -> None:
    labels = np.zeros((4, 3, 2), np.uint8)
    labels[1:3, 1, 1], labels[3, 2, 1] = 2, 3
    stream = io.BytesIO(nifti(labels))
    assert read_mask(stream, frame=0).sum() == 0
    assert read_mask(stream, frame=1, value=2).tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    with pytest.raises(DataError, match="3 distinct values in a mask"):
        read_mask(stream, frame=1)
    single = io.BytesIO(made.picture((GRAY > 100).astype(np.uint8)))
    np.testing.assert_array_equal(read_mask(single, frame=7), GRAY > 100)


def test_a_mask_that_compression_has_blurred_is_refused() -> None:
    with pytest.raises(DataError, match="whose edges compression has blurred"):
        read_mask(io.BytesIO(video(moving())))
    lossy = made.dicom([GRAY], syntax=made.JPEG, encoded=[made.picture(GRAY, "JPEG")])
    with pytest.raises(DataError, match=r"a DICOM, JPEG Baseline \(Process 1\) mask"):
        read_mask(io.BytesIO(lossy))


def claiming(*sides: int) -> bytes:
    content = bytearray(nifti(np.zeros((8, 8, 1), np.uint8)))
    content[40:56] = struct.pack("<8h", len(sides), *sides, *[1] * (7 - len(sides)))
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (claiming(32767, 32767), "more than 64,000,000 pixels, not decoded"),
        (claiming(8, 8, 32767, 32767), "more than 1,000,000; cut the clip"),
        (gzip.compress(claiming(8000, 8000, 1000)), "unpacks to 60 GiB, more than 4"),
        (claiming(8, 8, 3), "ends within frame 2 of 3"),
        (nifti(ACROSS)[:-1], "ends within frame 5 of 5"),
        (nifti(ACROSS, packed=True)[:-30], "truncated or damaged"),
        (nifti(ACROSS.astype(np.complex64)), "complex64 are no gray values"),
        (metaimage(VOLUME)[:-1], "ends within frame 5 of 5"),
        (metaimage(VOLUME).replace(b"16 12 5", b"99999 99999 5"), "more than 64,000,000 pixels"),
        (metaimage(VOLUME).replace(b"16 12 5", b"one two"), "DimSize = one two are not numbers"),
        (metaimage(VOLUME).replace(b"MET_UCHAR", b"MET_STRING"), "MET_STRING is not read; save gray values"),
        (metaimage(VOLUME, packed=True).replace(b"16 12 5", b"8000 5000 1000"), "unpacks to 37 GiB"),
        (metaimage(VOLUME, named="x").replace(b"ElementDataFile = x", b""), "header without ElementDataFile"),
    ],
)
def test_a_file_that_lies_is_one_line(content: bytes, words: str) -> None:
    assert words in refused(content)


def test_a_file_with_too_many_bytes_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(made.picture(GRAY))
    monkeypatch.setattr(limits, "LARGEST_BYTES", 50)
    with pytest.raises(DataError, match=r"a\.png: 0\.0 GiB, more than 0, not read"):
        read_image(tmp_path / "a.png")


def test_files_without_an_ending_are_known_by_their_content(tmp_path: Path) -> None:
    names = {"IM_0001": made.dicom(), "1.2.840.113": made.dicom(), "README": b"text", ".hidden": made.dicom()}
    names["DICOMDIR"] = made.dicom()
    for name, content in names.items():
        (tmp_path / name).write_bytes(content)
    assert [name for name in names if is_image_file(tmp_path / name)] == ["IM_0001", "1.2.840.113"]


LONG = """
import json, sys
from pathlib import Path
from benchmarks.malformed import peak_mib
from engine.images import open_clip
peaks = []
for path in sys.argv[1:]:
    with open_clip(Path(path)) as clip:
        read = sum(1 for frame in clip.frames() if frame.any())
    peaks.append([read, peak_mib()])
print(json.dumps(peaks))
"""


def write_clip(path: Path, frames: int) -> Path:
    """A clip of 512 x 512 pixels, a quarter of a MiB a frame."""
    bright = (np.arange(512 * 512).reshape(512, 512) % 251 + 1).astype(np.uint8)
    shifted = [np.roll(bright, number) for number in range(frames)]
    if path.suffix == ".dcm":
        path.write_bytes(made.dicom(shifted))
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(nifti(np.stack(shifted, axis=-1)), 1))
    elif path.suffix == ".mha":
        path.write_bytes(metaimage(np.stack(shifted), packed=True))
    elif path.suffix == ".tif":
        others = [Image.fromarray(frame) for frame in shifted[1:]]
        path.write_bytes(made.picture(bright, "TIFF", save_all=True, append_images=others))
    else:
        path.write_bytes(video(shifted, path.suffix, "MJPG"))
    return path


def test_memory_does_not_grow_with_the_length_of_a_clip(tmp_path: Path) -> None:
    endings = [".dcm", ".nii.gz", ".mha", ".tif", ".avi"]
    paths = [write_clip(tmp_path / f"{frames}{ending}", frames) for frames in (4, 84) for ending in endings]
    told = subprocess.run(
        [sys.executable, "-c", LONG, *map(str, paths)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    peaks = json.loads(told.stdout)
    assert [read for read, _ in peaks] == [4] * 5 + [84] * 5
    # Each long clip has 20 MiB more of pixels than its short one; all short ones come first.
    grown = {ending: peaks[5 + number][1] - peaks[4][1] for number, ending in enumerate(endings)}
    assert max(grown.values()) < 8, grown


@needs_samples
@pytest.mark.parametrize(
    ("name", "frames", "height", "width"),
    [
        ("clarius_ocular_phantom_short.mp4", 50, 960, 1280),
        ("lung_convex_healthy_neuruppin.mpeg", 280, 370, 370),
        ("lung_convex_healthy_northumbria.avi", 92, 476, 476),
        ("lung_convex_healthy_pocusatlas.gif", 60, 212, 212),
        ("sonosite_eye.mp4", 100, 720, 960),
    ],
)
def test_real_clips_are_read_to_their_end(name: str, frames: int, height: int, width: int) -> None:
    with open_clip(SAMPLES / "video" / name) as clip:
        assert (clip.kept.frames, clip.kept.height, clip.kept.width) == (frames, height, width)
        assert sum(frame.shape == (height, width) for frame in clip.frames()) == frames


def test_what_a_file_says_of_itself_cannot_break_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.mhd").write_bytes(metaimage(VOLUME, named="b\rad\x1b[31m" + 900 * "x"))
    (line,) = problems_of(lambda: read_image(tmp_path / "a.mhd"))
    assert line.isprintable()
    assert len(line) < 500
    damaged = made.dicom().replace(b"1.2.840.10008.1.2.1\0", b"1.2\n3\r\x1b[31m.4.5.6.7.8")
    assert refused(damaged).isprintable()
