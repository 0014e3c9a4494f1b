"""One test image under several strategies (Amiri et al. 2020, Fig. 5): image, truth, and a tile per strategy."""

from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from dashboard.figures.rows import rows

KINDS = ("image", "truth", "prediction")


def images_table(images: pd.DataFrame, reference: str) -> pd.DataFrame:
    """A row per test image that `reference` was tested on: index, image, group, fold, empty_truth and its Dice.

    Means over seeds; the images with a structure first, by falling Dice.
    """
    own = images[images["strategy"] == reference]
    table = own.groupby(["index", "image", "group", "fold", "empty_truth"])["dice"].mean().reset_index()
    return table.sort_values(["empty_truth", "dice", "image"], ascending=[True, False, True], ignore_index=True)


def median_image(table: pd.DataFrame) -> int:
    """Place in `images_table` of the image with the median Dice (of an even number, the lower of the middle two)."""
    measured = int((~table["empty_truth"].astype(bool)).sum())
    return measured // 2 if measured else 0


def labels(table: pd.DataFrame) -> list[str]:
    """`003_HC.png · HC18_003` of each row, with its folders where names repeat; `normal` where it has no structure.

    No Dice, so that an image stays chosen when another cell is.
    """
    names = [PurePosixPath(str(image)).name for image in table["image"]]
    names = names if len(set(names)) == len(names) else [str(image) for image in table["image"]]
    groups = [f" · {group}" if group else "" for group in table["group"]]
    normal = [" · normal" if empty else "" for empty in table["empty_truth"]]
    return ["".join(parts) for parts in zip(names, groups, normal, strict=True)]


def median_first(table: pd.DataFrame) -> list[str]:
    """The labels with that of the image with the median Dice first."""
    found, middle = labels(table), median_image(table)
    return [*found[middle : middle + 1], *found[:middle], *found[middle + 1 :]]


def mask_row_table(images: pd.DataFrame, index: int, strategies: Sequence[str]) -> pd.DataFrame:
    """A row per tile: the image, its truth, then the strategies in their order; kind, title, dice, predicted_mask.

    Of several seeds the first is drawn. A strategy that was not tested on the image (folds of its own) has no mask.
    """
    own = images[images["index"] == index].sort_values(["seed", "fold"], kind="stable").drop_duplicates("strategy")
    found = {row.strategy: row for row in rows(own)}
    tiles = [
        {"kind": "image", "title": "image", "dice": np.nan, "pixels": 0, "predicted_mask": None},
        {"kind": "truth", "title": "truth", "dice": np.nan, "pixels": 0, "predicted_mask": None},
    ]
    for name in strategies:
        row = found.get(name)
        tiles.append(
            {
                "kind": "prediction",
                "title": name,
                "dice": np.nan if row is None or row.empty_truth else float(row.dice),
                "pixels": 0 if row is None else int(row.predicted_pixels),
                "predicted_mask": None if row is None else row.predicted_mask,
            }
        )
    return pd.DataFrame(tiles)


def frame_size(source: pd.Series) -> str:
    """`540 × 800 pixels, 97 × 144 mm` of a row of the data set's table: width and height."""
    width, height = int(source["source_width"]), int(source["source_height"])
    spacing = float(source["spacing_mm"])
    millimetres = "" if pd.isna(spacing) else f", {width * spacing:.0f}\u00a0×\u00a0{height * spacing:.0f}\u00a0mm"
    return f"{width}\u00a0×\u00a0{height}\u00a0pixels{millimetres}"


def captions(table: pd.DataFrame, size: str) -> list[str]:
    """What stands under each tile: its title, of a prediction its Dice, of the image the frame's `size`."""
    shown = []
    for row in rows(table):
        if row.kind == "image":
            found = f" · {size}"
        elif row.kind == "truth":
            found = ""
        elif row.predicted_mask is None:
            found = " · not tested on this image"
        elif pd.isna(row.dice):
            found = f" · {row.pixels:,} pixels predicted"
        else:
            found = f" · Dice {row.dice:.3f}"
        shown.append(f"**{row.title}**{found}")
    return shown
