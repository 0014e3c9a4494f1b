"""What a JPEG, JPEG-LS or JPEG 2000 stream says of its own size, read before any decoder sees it."""

import struct
from dataclasses import dataclass

_FRAME_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15, and SOF55 of JPEG-LS
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_JPEG_2000 = b"\xff\x4f\xff\x51"
_JP2 = b"\x00\x00\x00\x0cjP  "
MOST_TILES = 65535
"""Tiles that a JPEG 2000 stream may have by its standard."""


@dataclass(frozen=True, kw_only=True)
class StreamSize:
    """Size of one encoded frame as its own stream gives it."""

    height: int
    width: int
    components: int
    precision: int
    """Bits per value."""


def stream_size(encoded: bytes, *, jpeg_2000: bool) -> StreamSize | None:
    """The size in a stream's frame header; None where there is none, or JPEG 2000 tiles beyond what is allowed.

    `jpeg_2000` says which decoder will see the stream: what another one would take for the size tells nothing.
    """
    if not jpeg_2000:
        return _jpeg(encoded)
    place = _in_boxes(encoded) if encoded.startswith(_JP2) else 0
    return _jpeg_2000(encoded[place + 2 :]) if encoded.startswith(_JPEG_2000, place) else None


def _in_boxes(encoded: bytes) -> int:
    """Where the stream begins that JP2 boxes hold (ITU-T T.800, I.4); the end where none does."""
    place = 0
    while place + 8 <= len(encoded):
        length, kind, first = int.from_bytes(encoded[place : place + 4], "big"), encoded[place + 4 : place + 8], 8
        if length == 1:
            length, first = int.from_bytes(encoded[place + 8 : place + 16], "big"), 16
        if kind == b"jp2c":
            return place + first
        if length < first:  # 0: to the end of the file
            break
        place += length
    return len(encoded)


def _jpeg(encoded: bytes) -> StreamSize | None:
    """ITU-T T.81, B.2.2."""
    place = 2
    while place + 4 <= len(encoded):
        if encoded[place] != 0xFF:
            return None
        marker = encoded[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _ALONE:
            place += 2
        elif marker in _FRAME_MARKERS:
            if place + 10 > len(encoded):
                return None
            precision, height, width, components = struct.unpack(">BHHB", encoded[place + 4 : place + 10])
            return StreamSize(height=height, width=width, components=components, precision=precision)
        else:
            place += 2 + int.from_bytes(encoded[place + 2 : place + 4], "big")
    return None


def _jpeg_2000(segment: bytes) -> StreamSize | None:
    """ITU-T T.800, A.5.1: the SIZ segment."""
    if len(segment) < 41:
        return None
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, components = struct.unpack(
        ">8IH", segment[6:40]
    )
    if not tile_width or not tile_height or left >= right or top >= bottom:
        return None
    across, down = -(-(right - tile_left) // tile_width), -(-(bottom - tile_top) // tile_height)
    if across * down > MOST_TILES:
        return None
    return StreamSize(
        height=bottom - top, width=right - left, components=components, precision=(segment[40] & 0x7F) + 1
    )
