"""Damaged zips from a seed: cut, with flipped bits, with names that are no UTF-8, in every way zips are packed."""

import io
import random
import zipfile
from collections.abc import Iterator, Mapping

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
FLAGS_AT = 8
PACKED_AT = 20
"""Of a member's record in the directory: its flags, and the bytes that it takes."""


def damaged_zips(files: Mapping[str, bytes], number: int, seed: int = 0) -> Iterator[bytes]:
    """`number` of them; some may still be whole where it matters."""
    chance = random.Random(seed)
    for place in range(number):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", METHODS[place % len(METHODS)]) as packed:
            for name, content in files.items():
                packed.writestr(name, content)
        content = bytearray(made.getvalue())
        kind = chance.choice(("cut", "bits", "bits", "name"))
        if kind == "cut":
            del content[chance.randrange(len(content)) :]
        elif kind == "bits":
            for _ in range(chance.randrange(1, 5)):
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        else:  # a name that says it is UTF-8, and is not
            record = content.index(b"PK\1\2")
            content[record + FLAGS_AT + 1] |= 8
            content[record + 46] = 0xFF
        yield bytes(content)


def claiming(content: bytes, packed: int) -> bytes:
    """A zip whose list says of its last member that it takes `packed` bytes in it."""
    made = bytearray(content)
    record = made.rindex(b"PK\1\2")
    made[record + PACKED_AT : record + PACKED_AT + 4] = packed.to_bytes(4, "little")
    return bytes(made)
