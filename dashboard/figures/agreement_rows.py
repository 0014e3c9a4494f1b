"""Regions of agreement between readers as rows: ours, and the published ones; and readers by short names."""

from collections.abc import Mapping, Sequence

import pandas as pd

SHOWN = ["right for", "frames", "part"]
MISSING = "not given"
"""In place of a number that a paper does not give."""


def short_names(readers: Sequence[str]) -> dict[str, str]:
    """Each reader's name without the parts that all of them share; whole names where they would not tell apart.

    `VGG16 · FC8 · 80 %` and `VGG16 · FC6-8 · 80 %` become `FC8` and `FC6-8`.
    """
    parts = {name: name.split(" · ") for name in readers}
    shared = set.intersection(*(set(each) for each in parts.values())) if len(readers) > 1 else set()
    short = {name: " · ".join(part for part in each if part not in shared) for name, each in parts.items()}
    fits = all(short.values()) and len(set(short.values())) == len(readers)
    return short if fits else {name: name for name in readers}


def frames_told(regions: pd.DataFrame, answered: Mapping[str, int]) -> str:
    """`56 frames that all 3 readers answered (Ann 80).`: who answered more is named."""
    common = int(regions["images"].sum())
    more = [f"{name} {frames:,}" for name, frames in answered.items() if frames > common]
    told = f"{common:,} frames that all {len(answered)} readers answered"
    return f"{told} ({', '.join(more)})." if more else f"{told}."


def region_rows(regions: pd.DataFrame) -> pd.DataFrame:
    """A row per region of `agreement_regions`: who has its frames right, how many they are, and percent of all."""
    return pd.DataFrame(
        {"right for": regions["region"], "frames": regions["images"], "part": 100 * regions["part"]}, columns=SHOWN
    )


def published_rows(regions: pd.DataFrame, images: int) -> pd.DataFrame:
    """The same, as text, of published regions: a column per reader (right or not), and `images` or NaN."""
    readers = [name for name in regions.columns if name != "images"]
    rows = []
    for right, found in zip(regions[readers].to_numpy(), regions["images"], strict=True):
        own = [name for name, is_right in zip(readers, right, strict=True) if is_right]
        words = " and ".join([", ".join(own[:-1]), own[-1]] if len(own) > 1 else own) or "nobody"
        words = words if len(own) in (0, len(readers)) else f"{words} only"
        told = (MISSING, "") if pd.isna(found) else (f"{int(found):,}", f"{100 * found / images:.1f} %")
        rows.append((words, *told))
    return pd.DataFrame(rows, columns=SHOWN)
