"""One file in, one array out; and one line where that is impossible."""

import contextlib
import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies
from PIL import Image

from engine.errors import DataError
from engine.images import limits, open_clip, read_image, read_mask, resize_image, resize_mask

GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
SQUARE = np.array([[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]], dtype=np.uint8)


def saved(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def one_line(error: pytest.ExceptionInfo[DataError]) -> str:
    (line,) = error.value.problems
    assert "\n" not in line
    return line


@pytest.mark.parametrize("ending", [".png", ".tif", ".tiff", ".bmp", ".PNG"])
def test_lossless_gray_files_come_back_as_they_were_saved(tmp_path: Path, ending: str) -> None:
    image = read_image(saved(tmp_path / f"a{ending}", GRAY))
    np.testing.assert_array_equal(image.pixels, GRAY)
    assert image.pixels.dtype == np.uint8
    assert image.scaled_range is None


def test_a_jpeg_comes_back_nearly_as_it_was_saved(tmp_path: Path) -> None:
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    found = read_image(saved(tmp_path / "a.jpg", smooth, quality=95)).pixels
    assert np.abs(found.astype(int) - smooth).max() <= 4


def test_colour_becomes_luma(tmp_path: Path) -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], dtype=np.uint8)
    # ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B, times 255.
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.png", colours)).pixels, [[76, 150, 29]])


def test_sixteen_bits_are_scaled_by_their_own_range_and_say_so(tmp_path: Path) -> None:
    deep = np.array([[1000, 2000], [3000, 5000]], dtype=np.uint16)
    image = read_image(saved(tmp_path / "a.png", deep))
    np.testing.assert_array_equal(image.pixels, [[0, 64], [128, 255]])
    assert image.scaled_range == (1000, 5000)


def test_sixteen_bits_of_one_value_become_black(tmp_path: Path) -> None:
    assert not read_image(saved(tmp_path / "a.png", np.full((2, 2), 7000, np.uint16))).pixels.any()


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not finite") as error:
        read_image(saved(tmp_path / "a.tif", np.array([[0, np.nan]], dtype=np.float32)))
    assert one_line(error).startswith("a.tif: ")


def test_transparency_lies_on_black(tmp_path: Path) -> None:
    colours = np.array([[[200, 200, 200, 255], [200, 200, 200, 0]]], dtype=np.uint8)
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.png", colours)).pixels, [[200, 0]])


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGBA", "CMYK"])
def test_every_common_mode_can_be_read(tmp_path: Path, mode: str) -> None:
    black_white = Image.fromarray(SQUARE * np.uint8(255)).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    black_white.save(path)
    np.testing.assert_array_equal(read_image(path).pixels, SQUARE * 255)
    np.testing.assert_array_equal(read_mask(path), SQUARE)


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    picture = Image.fromarray(SQUARE, mode=None).convert("P")
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(tmp_path / "a.png", transparency=b"\x00\xff")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), SQUARE)


def test_the_orientation_of_the_camera_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn by 90 degrees clockwise
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.png", GRAY, exif=exif)).pixels, np.rot90(GRAY, -1))


def test_an_open_stream_is_read_like_a_file() -> None:
    stream = io.BytesIO()
    Image.fromarray(GRAY).save(stream, format="PNG")
    stream.seek(0)
    np.testing.assert_array_equal(read_image(stream).pixels, GRAY)
    with pytest.raises(DataError) as error:
        read_image(io.BytesIO(b"no image"), name="dropped.png")
    assert one_line(error).startswith("dropped.png: not a PNG")


def test_the_type_of_a_file_is_that_of_its_content_whatever_its_name(tmp_path: Path) -> None:
    for name in ("a.dcm", "a.xcf", "a.mp4", "a"):
        saved(tmp_path / "a.png", GRAY)
        (tmp_path / "a.png").rename(tmp_path / name)
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, GRAY)


@pytest.mark.parametrize("name", ["a.png", "a.dcm", "a.nii.gz", "a.mhd", "a.mp4", "a.xcf"])
def test_a_file_without_content_names_what_can_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match="DICOM, NIfTI or MetaImage file or video, whatever its name") as error:
        read_image(tmp_path / name)
    assert one_line(error).startswith(f"{name}: not a PNG, JPEG, TIFF or BMP image")


def test_a_missing_file_a_folder_and_a_text_are_each_one_line(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "text.png").write_text("hello")
    for name, words in [("none.png", "no such file"), ("folder.png", "a folder"), ("text.png", "not a PNG")]:
        with pytest.raises(DataError) as error:
            read_image(tmp_path / name)
        assert one_line(error).startswith(f"{name}: {words}")


def test_a_file_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", GRAY)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # the tests may run as root, to whom nothing is forbidden
    with pytest.raises(DataError) as error:
        read_image(path)
    assert "no permission" in one_line(error)
    assert "chmod" in one_line(error)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".tif", ".bmp"])
def test_a_truncated_file_is_one_line(tmp_path: Path, ending: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    path = saved(tmp_path / f"a{ending}", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError) as error:
        read_image(path)
    assert one_line(error).startswith(f"a{ending}: ")
    assert "again" in one_line(error)


FILES = {}
for _format in ("PNG", "JPEG", "TIFF", "BMP"):
    _stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 11, 3), dtype=np.uint8)).save(_stream, _format)
    FILES[_format] = _stream.getvalue()


@given(
    file=st.sampled_from(sorted(FILES)),
    cut=st.floats(0, 1),
    changes=st.dictionaries(st.floats(0, 0.999), st.integers(0, 255), max_size=6),
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_an_image_or_one_line_but_never_another_error(
    file: str, cut: float, changes: dict[float, int]
) -> None:
    content = bytearray(FILES[file])
    for place, value in changes.items():
        content[int(place * len(content))] = value
    problems: tuple[str, ...] = ("x.png: none",)
    with warnings.catch_warnings(), contextlib.suppress(DataError):
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata that does not touch the pixels
        try:
            assert read_image(io.BytesIO(bytes(content[: int(cut * len(content)) + 1])), name="x.png").pixels.ndim == 2
        except DataError as error:
            problems = error.problems
            raise
    (line,) = problems
    assert line.startswith("x.png: ")
    assert "\n" not in line


def test_a_decompression_bomb_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", GRAY)
    monkeypatch.setattr(limits, "LARGEST_PIXELS", 11)
    with pytest.raises(DataError, match="more than 11 pixels, not decoded; reduce it"):
        read_image(path)
    monkeypatch.setattr(limits, "LARGEST_PIXELS", 12)
    read_image(path)


@pytest.mark.parametrize("pillow_limit", [8, 5])  # Pillow warns above its limit and raises above twice of it
def test_pillows_own_guard_against_bombs_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pillow_limit: int
) -> None:
    path = saved(tmp_path / "a.png", GRAY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillow_limit)
    with pytest.raises(DataError, match="not decoded"):
        read_image(path)


@pytest.mark.parametrize("ending", [".tif", ".gif", ".png"])
def test_pages_are_frames_and_the_middle_one_is_the_image(tmp_path: Path, ending: str) -> None:
    pages = [np.full((3, 4), 60 * number, np.uint8) for number in range(4)]
    others = [Image.fromarray(page) for page in pages[1:]]
    path = saved(tmp_path / f"a{ending}", pages[0], save_all=True, append_images=others, duration=40)
    image = read_image(path)
    assert image.frame == 2
    np.testing.assert_array_equal(image.pixels, pages[2])
    np.testing.assert_array_equal(read_image(path, frame=3).pixels, pages[3])
    with open_clip(path) as clip:
        assert (clip.kept.frames, clip.kept.height, clip.kept.width) == (4, 3, 4)
        assert clip.kept.frame_ms == (None if ending == ".tif" else 40)
        np.testing.assert_array_equal(list(clip.frames()), pages)
        np.testing.assert_array_equal(list(clip.frames(range(1, 4, 2))), pages[1::2])
    with pytest.raises(DataError, match="has no frame 5; it has 4"):
        read_image(path, frame=4)


def test_a_deep_clip_is_scaled_by_its_whole_range_a_frame_by_its_own(tmp_path: Path) -> None:
    pages = [np.array([[1000, 2000]], np.uint16), np.array([[2000, 5000]], np.uint16)]
    path = saved(tmp_path / "a.tif", pages[0], save_all=True, append_images=[Image.fromarray(pages[1])])
    with open_clip(path) as clip:
        np.testing.assert_array_equal(list(clip.frames()), [[[0, 64]], [[64, 255]]])
    np.testing.assert_array_equal(read_image(path, frame=0).pixels, [[0, 255]])


@pytest.mark.parametrize(("background", "structure"), [(0, 255), (0, 1), (1, 2), (40, 41)])
def test_the_lower_of_two_values_is_background(tmp_path: Path, background: int, structure: int) -> None:
    values = np.where(SQUARE == 1, structure, background).astype(np.uint8)
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "a.png", values)), SQUARE)


def test_a_sixteen_bit_mask_and_a_coloured_mask_are_read(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "a.png", SQUARE.astype(np.uint16) * 65535)), SQUARE)
    green = np.zeros((*SQUARE.shape, 3), np.uint8)
    green[SQUARE == 1, 1] = 255
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "b.png", green)), SQUARE)


@pytest.mark.parametrize(("value", "area"), [(0, 0), (1, 12), (255, 12)])
def test_a_mask_of_one_value_is_empty_or_full(tmp_path: Path, value: int, area: int) -> None:
    assert read_mask(saved(tmp_path / "a.png", np.full((3, 4), value, np.uint8))).sum() == area


def test_a_mask_of_one_ambiguous_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the only value in the mask is 2, .* write 0 for background"):
        read_mask(saved(tmp_path / "a.png", np.full((3, 4), 2, np.uint8)))


def test_a_mask_with_more_than_two_values_lists_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: 3 distinct values in a mask \(0, 128, 255\); expected two") as error:
        read_mask(saved(tmp_path / "a.png", np.array([[0, 128, 255]], dtype=np.uint8)))
    assert "save one structure per mask file" in one_line(error)
    with pytest.raises(DataError, match=r"12 distinct values in a mask \(0, 20, .*, 140, \.\.\.\)"):
        read_mask(saved(tmp_path / "b.png", GRAY))


def test_two_colours_of_equal_luma_stay_two_values(tmp_path: Path) -> None:
    three = np.array([[[0, 0, 0], [255, 0, 0], [0, 0, 255]]], dtype=np.uint8)
    with pytest.raises(DataError, match="3 distinct values"):
        read_mask(saved(tmp_path / "a.png", three))


def test_a_jpeg_mask_is_refused_even_when_it_is_called_png(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png"):
        with pytest.raises(DataError, match=r"a JPEG mask, .* export the mask as PNG"):
            read_mask(saved(tmp_path / name, SQUARE * np.uint8(255), format="JPEG"))


MASKS = numpy_strategies.arrays(
    np.uint8, numpy_strategies.array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 1)
)


@given(mask=MASKS, size=st.integers(1, 48))
@settings(deadline=None)
def test_a_resized_mask_holds_only_zero_and_one_and_mirrors_with_its_mask(mask: np.ndarray, size: int) -> None:
    small = resize_mask(mask, size)
    assert small.shape == (size, size)
    assert set(np.unique(small)) <= {0, 1}
    np.testing.assert_array_equal(resize_mask(np.zeros_like(mask), size), 0)
    np.testing.assert_array_equal(resize_mask(np.ones_like(mask), size), 1)
    np.testing.assert_array_equal(resize_mask(mask.T, size), small.T) if mask.shape[0] == mask.shape[1] else None


@given(factor=st.integers(1, 6), mask=MASKS.filter(lambda mask: mask.shape[0] == mask.shape[1]))
@settings(deadline=None)
def test_a_mask_enlarged_and_reduced_by_a_whole_factor_is_the_mask(factor: int, mask: np.ndarray) -> None:
    side = mask.shape[0]
    np.testing.assert_array_equal(resize_mask(resize_mask(mask, side * factor), side), mask)


def test_a_pixel_covered_by_half_belongs_to_the_structure() -> None:
    np.testing.assert_array_equal(resize_mask(np.array([[1, 0], [1, 0]], dtype=np.uint8), 1), [[1]])
    np.testing.assert_array_equal(resize_mask(np.array([[1, 0], [0, 0]], dtype=np.uint8), 1), [[0]])


def test_shrinking_an_image_averages_rather_than_skips() -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (64, 32))
    middle = resize_image(stripes, 16)[2:-2, 2:-2]
    assert np.abs(middle.astype(int) - 127.5).max() < 10


def test_an_image_of_the_right_size_is_not_changed_by_resizing() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (32, 32), dtype=np.uint8)
    np.testing.assert_array_equal(resize_image(noise, 32), noise)


def test_images_are_read_without_torch() -> None:
    code = "import sys, engine.images, engine.datasets.cached, engine.datasets.check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
