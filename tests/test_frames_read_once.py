"""A frame that is asked about twice in a row is decoded once."""

import pytest

from dashboard.inference import process
from engine.images import read_image
from tests.trained_store import disc, png


def test_the_same_frame_is_decoded_once_and_another_one_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = list[str]()
    monkeypatch.setattr(process, "read_image", lambda *args, **named: decoded.append("") or read_image(*args, **named))
    frames = [png(disc(32, 32, radius)) for radius in (5, 7)]
    process._read.cache_clear()
    first, again, other = (process._read(bytes(bytearray(frames[place]))) for place in (0, 0, 1))
    assert len(decoded) == 2
    assert (first.pixels == again.pixels).all()
    assert (first.pixels != other.pixels).any()
