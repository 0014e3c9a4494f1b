"""Images that are the same or nearly so: what leaks from a training set into a test set."""

from collections.abc import Sequence
from dataclasses import dataclass

import imagehash
import numpy as np
from jaxtyping import UInt8, UInt64
from PIL import Image

NEAR_BITS = 4
"""Bits of 64 in which two near-duplicates' perceptual hashes differ at most.

Seven real packs (3,101 images): up to 4 bits five pairs lie in different groups, four of them the very same frame; from
6 bits on different patients' chest X-rays are named.
"""
MOST_PAIRS = 1_000
"""Pairs that are listed at most; the count goes on."""


@dataclass(frozen=True, kw_only=True)
class NearDuplicate:
    """Two images that look alike."""

    first: str
    """Image file, relative to the folder."""
    second: str
    """The other one."""
    bits: int
    """Bits of 64 in which their perceptual hashes differ."""
    across_groups: bool
    """True where their groups are known and differ: a split by group can put them on both sides."""


def perceptual_hash(pixels: UInt8[np.ndarray, "height width"]) -> int:
    """64 bits that hardly change when an image is resized, brightened or compressed (ImageHash's phash)."""
    bits = np.asarray(imagehash.phash(Image.fromarray(pixels)).hash, dtype=bool).ravel()
    return int.from_bytes(np.packbits(bits).tobytes())


def near_duplicates(
    names: Sequence[str], groups: Sequence[str], hashes: Sequence[int], digests: Sequence[str]
) -> tuple[tuple[NearDuplicate, ...], int]:
    """Pairs whose hashes differ in at most `NEAR_BITS` bits, those across groups first; and how many there are.

    Pairs of equal `digests` are left out: they are the same image, which is another matter. Every pair is compared,
    a row of the triangle at a time: 5,000 images are 12.5 million comparisons of 8 bytes.
    """
    values: UInt64[np.ndarray, " image"] = np.array(hashes, dtype=np.uint64)
    pairs: list[NearDuplicate] = []
    across_pairs: list[NearDuplicate] = []
    count = 0
    for first in range(len(values) - 1):
        bits = np.bitwise_count(values[first + 1 :] ^ values[first])
        for offset in np.flatnonzero(bits <= NEAR_BITS):
            second = first + 1 + int(offset)
            if digests[first] == digests[second]:
                continue
            count += 1
            across = "" not in (groups[first], groups[second]) and groups[first] != groups[second]
            kept = across_pairs if across else pairs
            if len(kept) < MOST_PAIRS:
                kept.append(
                    NearDuplicate(
                        first=names[first], second=names[second], bits=int(bits[offset]), across_groups=across
                    )
                )
    ordered = sorted(across_pairs, key=lambda pair: pair.bits) + sorted(pairs, key=lambda pair: pair.bits)
    return tuple(ordered[:MOST_PAIRS]), count
