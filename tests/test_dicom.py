"""DICOM as scanners write it: every way of storing pixels, the region that is kept, and nobody's name."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import generate_frames

from benchmarks.malformed import bombs
from engine.errors import DataError
from engine.images import Box, Clip, open_clip, read_image, read_mask
from engine.images.video import open_video
from tests import made_files as made
from tests import video_streams
from tests.made_files import COLOUR, GRAY, clip_frames, dicom, region
from tests.made_folders import problems_of

SAMPLES = Path(__file__).parents[2] / "shared/data/upload_samples/dicom"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real files to upload are not on this machine")
LUMA = np.asarray(Image.fromarray(COLOUR).convert("L"))
CLIP = clip_frames()


def frames_of(content: bytes, **options: Any) -> list[np.ndarray]:
    with open_clip(io.BytesIO(content), name="x.dcm", **options) as clip:
        return list(clip.frames())


def opened(content: bytes, **options: Any) -> Clip:
    with open_clip(io.BytesIO(content), name="x.dcm", **options) as clip:
        return clip


def refused(content: bytes) -> str:
    (line,) = problems_of(lambda: frames_of(content))
    assert line.startswith("x.dcm: ")
    return line


@pytest.mark.parametrize("syntax", [made.NATIVE, made.IMPLICIT, made.BIG_ENDIAN])
def test_uncompressed_frames_come_back_as_they_were_written(syntax: str) -> None:
    np.testing.assert_array_equal(frames_of(dicom(CLIP, syntax=syntax)), CLIP)
    np.testing.assert_array_equal(frames_of(dicom([COLOUR], syntax=syntax)), [LUMA])


def test_a_file_without_the_preamble_is_still_dicom() -> None:
    np.testing.assert_array_equal(frames_of(dicom(CLIP, with_preamble=False)), CLIP)


LOSSLESS: dict[str, tuple[str, Callable[[np.ndarray], bytes]]] = {
    "RLE": (made.RLE, made.rle),
    "JPEG-LS": (made.JPEG_LS, made.jpeg_ls),
    "JPEG 2000": (made.JPEG_2000, made.jpeg_2000),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_frames_packed_without_loss_come_back_as_they_were_written(name: str) -> None:
    syntax, encode = LOSSLESS[name]
    np.testing.assert_array_equal(frames_of(dicom(CLIP, syntax=syntax, encoded=list(map(encode, CLIP)))), CLIP)
    space = "YBR_RCT" if name == "JPEG 2000" else "RGB"
    colour = dicom([COLOUR], syntax=syntax, encoded=[encode(COLOUR)], PhotometricInterpretation=space)
    np.testing.assert_array_equal(frames_of(colour), [LUMA])


@pytest.mark.parametrize(
    ("syntax", "gray", "colour"),
    [
        (made.JPEG_LOSSLESS, made.LOSSLESS_GRAY, made.LOSSLESS_COLOUR),
        (made.HTJ2K, made.HTJ2K_GRAY, made.HTJ2K_COLOUR),
    ],
)
def test_jpeg_lossless_and_high_throughput_jpeg_2000_are_read(syntax: str, gray: bytes, colour: bytes) -> None:
    np.testing.assert_array_equal(frames_of(dicom([GRAY], syntax=syntax, encoded=[gray])), [GRAY])
    np.testing.assert_array_equal(frames_of(dicom([COLOUR], syntax=syntax, encoded=[colour])), [LUMA])


def test_a_stream_is_measured_where_its_own_decoder_reads() -> None:
    in_boxes = made.picture(GRAY, "JPEG2000", irreversible=False)
    assert in_boxes.index(b"\xff\x4f\xff\x51") > 0
    found = frames_of(dicom([GRAY], syntax=made.JPEG_2000, encoded=[in_boxes]))
    np.testing.assert_array_equal(found, [GRAY])
    behind = {name: make for name, make in bombs().items() if name.endswith("behind another size")}
    assert len(behind) == 2
    for make in behind.values():
        assert "000 pixels in 1 colours, where the header says 16 x 12" in refused(make())


def test_jpeg_is_read_gray_and_as_luma_of_its_colours() -> None:
    gray = dicom([GRAY], syntax=made.JPEG, encoded=[made.picture(GRAY, "JPEG", quality=100)])
    assert np.abs(frames_of(gray)[0].astype(int) - GRAY).max() <= 2
    encoded = made.picture(COLOUR, "JPEG", quality=100, subsampling=0)
    colour = dicom([COLOUR], syntax=made.JPEG, encoded=[encoded], PhotometricInterpretation="YBR_FULL_422")
    assert np.abs(frames_of(colour)[0].astype(int) - LUMA).max() <= 2


def test_a_decoder_that_is_missing_is_named() -> None:
    deep = dicom([GRAY.astype(np.uint16) * 16], syntax=made.JPEG_LOSSLESS, encoded=[made.LOSSLESS_DEEP], BitsStored=12)
    assert "needs a decoder that is not here; install python-gdcm" in refused(deep)
    other = dicom([GRAY], syntax=made.JPEG_2000_PART_2, encoded=[b"abcd"])
    assert "no decoder for 'JPEG 2000 Part 2" in refused(other)
    assert "deflated DICOM is not read; save it uncompressed" in refused(made.deflated(50_000_000))
    assert "deflated DICOM is not read" in refused(made.deflated(50_000_000, behind=6000))
    assert "deflated DICOM is not read" in refused(made.deflated(50_000_000, behind=6000)[132:])
    frames = dicom([GRAY]).replace(b"\x14\x001.2.840.10008.1.2.1\0", b"\x16\x001.2.840.10008.1.2.8.1\0")
    assert "deflated DICOM is not read" in refused(frames)


@pytest.mark.parametrize(
    ("syntax", "stream"),
    [
        (made.MPEG2, video_streams.MPEG2),
        (made.MPEG2, video_streams.MPEG2_TRANSPORT),
        (made.H264, video_streams.H264),
        (made.HEVC, video_streams.HEVC),
    ],
    ids=["MPEG-2", "MPEG-2 transport stream", "H.264", "HEVC"],
)
def test_streams_of_scanners_are_read_without_counting_their_frames(
    syntax: str, stream: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    monkeypatch.setattr("engine.images.dicom.open_video", lambda *given: counted.append(given[2]) or open_video(*given))
    frames = made.moving()
    found = frames_of(dicom(frames, syntax=syntax, encoded=[stream]))
    assert np.abs(np.array(found).astype(int) - frames).max() < 6
    assert counted == [1]


def test_a_video_in_dicom_is_read_and_what_is_written_aside_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    frames = made.moving()
    found = frames_of(dicom(frames, syntax=made.H264, encoded=[made.video(frames)]))
    assert np.abs(np.array(found).astype(int) - frames).max() < 6
    assert list(tmp_path.iterdir()) == []
    broken = dicom(frames, syntax=made.H264, encoded=[made.video(frames)[:300]])
    assert "no video that can be decoded" in refused(broken)
    assert list(tmp_path.iterdir()) == []
    # A fragment whose length is open makes pydicom give up in the middle of writing.
    whole = dicom(frames, syntax=made.H264, encoded=[b"abcd", made.video(frames)])
    place = whole.index(b"abcd") + 4
    assert "truncated or damaged" in refused(whole[:place] + b"\xfe\xff\x00\xe0" + b"\xff" * 4 + whole[place + 8 :])
    assert list(tmp_path.iterdir()) == []


def test_photometric_interpretations_become_the_same_gray_values() -> None:
    inverted = dicom([255 - GRAY], PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(frames_of(inverted), [GRAY])
    signed = np.array([[-128, -1], [0, 127]], np.int8)
    (found,) = frames_of(dicom([signed], PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(found, [[255, 128], [127, 0]])
    bright = np.stack([LUMA, np.full_like(LUMA, 128), np.full_like(LUMA, 128)], axis=-1)
    np.testing.assert_array_equal(frames_of(dicom([bright], PhotometricInterpretation="YBR_FULL")), [LUMA])
    # Claims 4:2:2 and holds every value, as several scanners write it.
    np.testing.assert_array_equal(frames_of(dicom([bright], PhotometricInterpretation="YBR_FULL_422")), [LUMA])


def test_real_subsampled_colour_keeps_every_luma_value() -> None:
    pairs = np.stack([LUMA[:, ::2], LUMA[:, 1::2]], axis=-1)
    grey = np.full((*pairs.shape[:2], 2), 128, np.uint8)
    content = dicom([COLOUR], PhotometricInterpretation="YBR_FULL_422", PixelData=np.dstack([pairs, grey]).tobytes())
    np.testing.assert_array_equal(frames_of(content), [LUMA])


def test_a_palette_is_applied() -> None:
    descriptor, entries = [256, 0, 16], np.arange(256, dtype=np.uint16)
    tables = [(entries * 257), (255 - entries) * 257, (entries // 2) * 257]
    palette: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        palette[f"{name}PaletteColorLookupTableDescriptor"] = descriptor
        palette[f"{name}PaletteColorLookupTableData"] = table.astype("<u2").tobytes()
    np.testing.assert_array_equal(frames_of(dicom([GRAY], **palette)), [LUMA])


def test_deep_values_are_scaled_and_say_so() -> None:
    image = read_image(io.BytesIO(dicom([GRAY.astype(np.int16) * 16 - 500])))
    assert image.scaled_range == (int(GRAY.min()) * 16 - 500, int(GRAY.max()) * 16 - 500)
    assert (image.pixels.min(), image.pixels.max()) == (0, 255)


def test_the_region_in_the_header_is_kept_and_the_rest_is_told() -> None:
    regions = [region((0, 0, 3, 3)), region((2, 1, 13, 9), spacing_cm=0.02), region((0, 0, 15, 11), space=3)]
    content = dicom(CLIP, regions=regions)
    kept = opened(content).kept
    np.testing.assert_array_equal(frames_of(content), [frame[1:10, 2:14] for frame in CLIP])
    assert kept.box == Box(top=1, left=2, height=9, width=12)
    assert (kept.height, kept.width, kept.source_height, kept.source_width) == (9, 12, 12, 16)
    assert kept.spacing_mm == pytest.approx((0.2, 0.2))
    assert kept.pixel_mm == pytest.approx(0.2)
    assert kept.cut_away == "44 % of each 16 x 12 frame, outside the region that the header names"
    assert (kept.frames, kept.frame_ms, kept.scanner) == (5, 40, "Maker Model 7")
    np.testing.assert_array_equal(frames_of(content, cut=False), CLIP)
    np.testing.assert_array_equal(read_mask(io.BytesIO(dicom([GRAY // 200], regions=regions))), GRAY // 200)


@pytest.mark.parametrize("box", [(4, 4, 40, 40), (9, 2, 3, 8), (-3, 0, 5, 5)])
def test_a_region_that_does_not_fit_cuts_nothing_and_gives_no_pixel_size(box: tuple[int, int, int, int]) -> None:
    content = dicom(regions=[region((abs(box[0]), *box[1:]))] if box[0] >= 0 else [region((20, 0, 25, 5))])
    kept = opened(content).kept
    assert (kept.box, kept.spacing_mm, kept.cut_away) == (None, None, "")
    assert "does not fit the 16 x 12 frame: nothing was cut away, text in the picture included" in kept.notes[0]


def test_a_region_of_the_whole_frame_has_its_pixel_size_beside_another_region() -> None:
    kept = opened(dicom(regions=[region((0, 0, 15, 11), spacing_cm=0.02), region((0, 8, 15, 11), space=3)])).kept
    assert (kept.box, kept.spacing_mm) == (None, pytest.approx((0.2, 0.2)))
    assert len(kept.notes) == 1


def test_without_a_region_the_pixel_spacing_counts_and_the_text_stays() -> None:
    kept = opened(dicom(PixelSpacing=["0.3", "0.1"])).kept
    assert kept.spacing_mm == (0.3, 0.1)
    assert kept.pixel_mm is None
    assert "names no ultrasound region: nothing was cut away, text in the picture included" in kept.notes[0]
    assert opened(dicom(regions=[region((0, 0, 15, 11), unit=4)])).kept.spacing_mm is None


def test_the_time_between_frames_is_that_of_the_middle_one_where_each_is_named() -> None:
    vector = {"FrameTime": None, "FrameTimeVector": [0, 30, 31, 33, 200]}
    assert opened(dicom(CLIP, **vector)).kept.frame_ms == 32
    assert opened(dicom(CLIP, FrameTimeVector=[0, 30, 31, 33, 200])).kept.frame_ms == 40
    assert opened(dicom(CLIP, FrameTime=None, FrameTimeVector=[0], CineRate=50)).kept.frame_ms == 20
    assert opened(dicom(CLIP, FrameTime=None, FrameTimeVector=7)).kept.frame_ms is None


def test_patients_are_told_apart_by_a_hash_and_named_nowhere() -> None:
    same = [opened(dicom(PatientID="A")).kept.group, opened(dicom(PatientID="A", StudyInstanceUID="9.9")).kept.group]
    other = opened(dicom(PatientID="B")).kept.group
    assert same[0] == same[1] != other
    assert len(other) == 16
    by_study = {opened(dicom(PatientID="", StudyInstanceUID=uid)).kept.group for uid in ("1.2", "1.2", "1.3")}
    assert len(by_study) == 2
    assert opened(dicom(PatientID="", StudyInstanceUID=None)).kept.group == ""
    salted = {opened(dicom(), salt=salt).kept.group for salt in (b"one", b"one", b"two")}
    assert len(salted) == 2
    everything = repr(opened(dicom(regions=[region((2, 1, 13, 9))])))
    assert not any(text in everything for text in ("Doe", "Jane", made.NUMBER, made.STUDY))


BAD: dict[str, tuple[bytes, str]] = {
    "without pixels": (dicom(PixelData=None), "DICOM without pixels; export the images"),
    "without rows": (dicom(Rows=None), "DICOM without an image; export the images"),
    "of no rows": (dicom(Rows=0), "claims frames of 16 x 0 pixels"),
    "that claims a bomb": (dicom(Rows=65000, Columns=65000), "more than 64,000,000 pixels, not decoded"),
    "that claims frames": (dicom(CLIP, NumberOfFrames=7), "ends within frame 6 of 7"),
    "that claims two billion frames": (dicom(CLIP, NumberOfFrames=2**31 - 1), "more than 1,000,000; cut the clip"),
    "of fewer rows than pixels": (dicom(CLIP, Rows=3), "says 5 frames of 16 x 3, the pixels hold 20; export it again"),
    "that is cut": (dicom(CLIP)[:-100], "ends within frame 5 of 5; copy or export it again"),
    "with another JPEG": (
        dicom([GRAY], syntax=made.JPEG, encoded=[made.picture(GRAY[:8], "JPEG")]),
        "a frame of 16 x 8 pixels in 1 colours, where the header says 16 x 12 in 1",
    ),
    "with a JPEG of colour": (
        dicom([GRAY], syntax=made.JPEG, encoded=[made.picture(COLOUR, "JPEG")]), "in 3 colours, where the header says"),
    "with noise for a frame": (dicom([GRAY], syntax=made.JPEG, encoded=[b"noise" * 9]), "a frame without a size"),
    "with a cut JPEG-LS": (
        dicom([GRAY], syntax=made.JPEG_LS, encoded=[made.jpeg_ls(GRAY)[:-20]]), "a frame is cut off"),
    "with an RLE bomb": (
        dicom([GRAY], syntax=made.RLE, encoded=[struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * 9999]),
        "longer than it can be"),
    "with fewer frames than it says": (
        dicom(CLIP, syntax=made.JPEG_LS, encoded=[made.jpeg_ls(GRAY)]), "holds 1 of 5 frames"),
    "of a palette without one": (dicom(PhotometricInterpretation="PALETTE COLOR"), "truncated or damaged"),
    "of five values per pixel": (dicom(SamplesPerPixel=5), "5 values per pixel of 8 bits in 8 are not read"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_dicom_file_that_lies_is_one_line(name: str) -> None:
    content, words = BAD[name]
    assert words in refused(content)


def test_no_message_repeats_what_a_damaged_header_says() -> None:
    damaged = dicom(CLIP, NumberOfFrames="5").replace(b"IS\x02\x005 ", b"IS\x02\x00D^")
    line = refused(damaged)
    assert "truncated or damaged" in line
    assert "D^" not in line


@needs_samples
def test_real_files_are_read_as_other_decoders_read_them() -> None:
    with open_clip(SAMPLES / "philips_mono_jpeglossless.dcm") as clip:
        (frame,) = clip.frames()
        assert clip.kept.spacing_mm == pytest.approx((0.25477, 0.25477), abs=1e-5)
        assert (clip.kept.scanner, clip.kept.box) == (
            "Philips Medical Systems EPIQ 7C", Box(top=38, left=14, height=721, width=997))  # fmt: skip
    assert frame.shape == (721, 997)
    # GDCM 3.2.6 through pydicom 3.0.2: dcmread(...).pixel_array[38:759, 14:1011].sum()
    assert int(frame.astype(np.int64).sum()) == 13_247_727
    with open_clip(SAMPLES / "sonosite_multiframe30_ybr422_jpegbaseline.dcm") as clip:
        frames = list(clip.frames())
        assert (len(frames), clip.kept.frame_ms, clip.kept.scanner) == (30, 33.333, "SonoSite, Inc. Turbo")
        assert "does not fit the 320 x 240 frame" in clip.kept.notes[0]
    with open_clip(SAMPLES / "philips_palette_rle_2frame.dcm") as clip:
        assert [frame.shape for frame in clip.frames()] == [(459, 680)] * 2


@needs_samples
@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.dcm")), ids=lambda path: path.stem)
def test_every_real_file_is_read_frame_by_frame(path: Path) -> None:
    with open_clip(path) as clip:
        frames = list(clip.frames())
        assert len(frames) == clip.kept.frames
        assert {frame.shape for frame in frames} == {(clip.kept.height, clip.kept.width)}
        assert all(frame.any() for frame in frames)


def test_encapsulated_frames_are_those_that_pydicom_finds() -> None:
    import pydicom

    content = dicom(CLIP, syntax=made.JPEG_LS, encoded=[made.jpeg_ls(frame) for frame in CLIP])
    dataset = pydicom.dcmread(io.BytesIO(content))
    assert len(list(generate_frames(dataset.PixelData, number_of_frames=5))) == 5
    np.testing.assert_array_equal(frames_of(content), dataset.pixel_array)


def test_an_asked_frame_is_that_frame_and_no_other_is_refused() -> None:
    content = dicom(CLIP, syntax=made.RLE, encoded=[made.rle(frame) for frame in CLIP])
    for number in range(5):
        np.testing.assert_array_equal(read_image(io.BytesIO(content), frame=number).pixels, CLIP[number])
    with pytest.raises(DataError, match="has no frame 6; it has 5"):
        read_image(io.BytesIO(content), frame=5)
