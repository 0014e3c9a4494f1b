"""A frame that is asked about twice in a row is decoded once."""

import os
from pathlib import Path

import pytest

from dashboard.inference import process
from engine.errors import DataError
from engine.images import read_image
from tests.trained_store import disc, png


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line per frame that was decoded."""
    names = list[str]()
    monkeypatch.setattr(process, "read_image", lambda *args, **named: names.append("") or read_image(*args, **named))
    process._decoded.cache_clear()
    return names


def test_the_same_frame_is_decoded_once_and_another_one_anew(decoded: list[str]) -> None:
    frames = [png(disc(32, 32, radius)) for radius in (5, 7)]
    first, again, other = (process._read(bytes(bytearray(frames[place]))) for place in (0, 0, 1))
    assert len(decoded) == 2
    assert (first.pixels == again.pixels).all()
    assert (first.pixels != other.pixels).any()


def test_a_file_is_decoded_anew_once_it_was_written_anew(decoded: list[str], tmp_path: Path) -> None:
    frame = tmp_path / "frame.png"
    frame.write_bytes(png(disc(32, 32, 5)))
    first, again = (process._read(frame) for _ in range(2))
    assert len(decoded) == 1
    assert (first.pixels == again.pixels).all()

    frame.write_bytes(png(disc(32, 32, 7)))
    os.utime(frame, ns=(0, frame.stat().st_mtime_ns + 1))
    assert (process._read(frame).pixels != first.pixels).any()
    assert len(decoded) == 2

    frame.unlink()
    with pytest.raises(DataError, match="this frame was deleted after an hour; drop it again"):
        process._read(frame)
