"""Frames with the outlines of masks drawn over them, in the source's proportions."""

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from skimage.measure import find_contours

from dashboard.figures.palette import PREDICTION, TRUTH


def unpack(packed: bytes, side: int) -> UInt8[np.ndarray, "height width"]:
    """The predicted mask of a square of `side` pixels from the bits that the store keeps."""
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=side * side).reshape(side, side)


def outlined(
    image: UInt8[np.ndarray, "height width"],
    truth: UInt8[np.ndarray, "height width"] | None = None,
    prediction: UInt8[np.ndarray, "height width"] | None = None,
    *,
    aspect: float = 1.0,
    longest: int = 440,
) -> UInt8[np.ndarray, "drawn_height drawn_width rgb"]:
    """The frame enlarged so that its longer side has `longest` pixels, truth yellow and prediction cyan.

    `aspect` is the source's width divided by its height: the network's square is stretched back.
    """
    width, height = (longest, round(longest / aspect)) if aspect >= 1 else (round(longest * aspect), longest)
    # Drawn at twice the size and shrunk, so that the lines are smooth.
    large = Image.fromarray(image).resize((2 * width, 2 * height), Image.Resampling.BICUBIC).convert("RGB")
    draw = ImageDraw.Draw(large)
    for mask, colour in ((truth, TRUTH), (prediction, PREDICTION)):
        if mask is None:
            continue
        across, down = 2 * width / mask.shape[1], 2 * height / mask.shape[0]
        for contour in find_contours(np.pad(mask.astype(float), 1), 0.5):
            points = [((column - 0.5) * across, (row - 0.5) * down) for row, column in contour]
            draw.line(points, fill=colour, width=5, joint="curve")
    return np.asarray(large.resize((width, height), Image.Resampling.BOX))


def extremes_table(test_images: pd.DataFrame, trials: pd.DataFrame, number: int, measure: str = "dice") -> pd.DataFrame:
    """The `number` worst and as many best test images of the trials, worst first; each image once.

    Columns of the store's test images with `fold` and `seed`, and `end` ("worst", "best" or "normal"). Images without
    a structure have no overlap to be ordered by: of them those with most pixels predicted come last, as "normal".
    """
    wanted = trials.loc[trials["closed"], ["id", "number", "fold", "seed"]].astype({"number": "int64"})
    table = test_images.merge(wanted, on=["id", "number"])
    empty = table["empty_truth"].astype(bool)
    normal = table[empty].sort_values(["predicted_pixels", "image"], ascending=[False, True], kind="stable")
    table = table[~empty].sort_values([measure, "image"], kind="stable")
    half = min(number, len(table) // 2) if len(table) > 1 else len(table)
    ends = (("worst", table.head(half)), ("best", table.tail(half).iloc[::-1]), ("normal", normal.head(number)))
    return pd.concat([part.assign(end=end) for end, part in ends]).reset_index(drop=True)
