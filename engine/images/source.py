"""Opening what a user gave, and saying in one line why it cannot be read."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from os import SEEK_END
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from engine.errors import DataError
from engine.images import limits
from engine.images.kinds import FORMATS

Stream = BytesIO | BufferedReader
"""An open file, or bytes in memory such as an upload."""


def shown_name(source: Path | Stream, name: str | None) -> str:
    """What messages call the file."""
    return name or (source.name if isinstance(source, Path) else "image")


@contextmanager
def opened_stream(source: Path | Stream, shown: str) -> Iterator[Stream]:
    """The file, open at its beginning; closed afterwards where it was opened here. Raises DataError where too large."""
    if not isinstance(source, Path):
        _check_bytes(source.seek(0, SEEK_END), shown)
        source.seek(0)
        yield source
        return
    with source.open("rb") as stream:
        _check_bytes(source.stat().st_size, shown)
        yield stream


def _check_bytes(size: int, shown: str) -> None:
    if size > limits.LARGEST_BYTES:
        raise DataError(
            f"{shown}: {size / 2**30:.1f} GiB, more than {limits.LARGEST_BYTES / 2**30:.0f}, not read; cut the clip"
        )


def printable(text: str, most: int = 80) -> str:
    """What a file says of itself, short and in one line, so that a message may repeat it."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:most].strip()


def unknown(shown: str) -> DataError:
    """The error for a file that is nothing that can be read."""
    return DataError(f"{shown}: not a {FORMATS}, whatever its name; export it again")


@contextmanager
def one_line(shown: str, *, quote: bool = True) -> Iterator[None]:
    """Turns whatever reading a file raises into one DataError line, and keeps decoders' warnings quiet.

    `quote` False leaves out what the decoder says, which may repeat a header's text, and so a person's name.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            yield
        except DataError:
            raise
        except FileNotFoundError:
            raise DataError(f"{shown}: no such file; check the name") from None
        except PermissionError:
            raise DataError(f"{shown}: no permission to read it; allow it, such as with chmod u+r") from None
        except IsADirectoryError:
            raise DataError(f"{shown}: a folder, not a file; give an image file") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise DataError(
                f"{shown}: more than {limits.LARGEST_PIXELS:,} pixels, not decoded; reduce it or crop it to the scan"
            ) from None
        except UnidentifiedImageError:
            raise unknown(shown) from None
        except MemoryError:
            raise DataError(f"{shown}: needs more memory than there is; reduce it or cut the clip") from None
        # Decoders of five libraries raise whatever a damaged byte led them to: found by feeding them damaged files.
        except Exception as error:
            why = printable(" ".join(str(error).split()), most=160) if quote else ""
            raise DataError(
                f"{shown}: truncated or damaged ({why or type(error).__name__}); copy or export it again"
            ) from None
