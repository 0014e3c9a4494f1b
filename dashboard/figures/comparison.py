"""Published rows beside ours: for comparison, not as a target; differences only where they mean something."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from engine.architectures import STRATEGIES, trainable_parameters


def published_cells(published: pd.DataFrame, *, width: int, dataset: str | None = None) -> pd.DataFrame:
    """Published Table II as cells like `cells.cell_table`'s; of one data set where `dataset` is given.

    A mean that the text does not give stays missing.
    """
    if dataset is not None:
        published = published[published["dataset"] == dataset]
    named = STRATEGIES["unet"]
    trainable = {name: trainable_parameters(strategy, "unet", width) for name, strategy in named.items()}
    return pd.DataFrame(
        {
            "source": "published",
            "study": "",
            "dataset": published["dataset"].astype(str) + ", Amiri et al. 2020",
            "start": "",
            "network": "",
            "fraction": published["train_percent"].astype(float),
            "strategy": published["strategy"],
            "mean": published["dice_mean"].astype(float),
            "sd": published["dice_std"].astype(float).where(published["dice_mean"].notna()),
            "mean_all": float("nan"),
            "validation": float("nan"),
            "complete": True,
            "folds": published["folds"].astype(int),
            "folds_done": published["folds"].astype(int),
            "trainings": published["folds"].astype(int),
            "failed": published["failed_folds"].astype(int),
            "collapsed": 0,
            "crashed": 0,
            "cut": "",
            "rates": [[1e-4]] * len(published),
            "values": [[] for _ in range(len(published))],
            "false_positive_rate": float("nan"),
            "normal_images": 0,
            "trainable": published["strategy"].map(trainable).astype(int),
            "total": max(trainable.values()),
            "minutes": float("nan"),
            "megabytes": published["strategy"].map(trainable).astype(float) * 4 / 1e6,
            "kept": float("nan"),
            "hd95_unit": "",
            "hd95_undefined": 0,
            "shared_folds": True,
        }
    ).reset_index(drop=True)


def beside(ours: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """The published rows that stand below ours: the same strategies, and the same fractions where there are any."""
    rows = published[published["strategy"].isin(ours["strategy"])]
    same = rows[rows["fraction"].isin(ours["fraction"])]
    return same if len(same) else rows


def difference_cells(ours: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Our cells with `mean` replaced by ours minus published, missing where either is.

    `mean_`, `sd_` and `over_` (the folds of the mean), each with `here` or `there`, are what the difference is of.
    """
    here = ours.assign(mean_here=ours["mean"], sd_here=ours["sd"], over_here=over(ours))
    there = published[["fraction", "strategy"]].assign(
        mean_there=published["mean"], sd_there=published["sd"], over_there=over(published)
    )
    pairs = here.merge(there, on=["fraction", "strategy"])
    pairs["mean"] -= pairs["mean_there"]
    return pairs.assign(sd=float("nan"), dataset=pairs["dataset"] + " minus published")


def over(cells: pd.DataFrame) -> pd.Series:
    """How many folds the mean of each cell is over: where folds have several seeds, one that failed leaves its fold."""
    return (cells["folds"] - cells["failed"]).where(cells["trainings"] == cells["folds"], cells["folds"])


def why_no_difference(
    facts: Mapping[str, Any], measure: str, *, sizes: Mapping[str, int], width: int, image_size: int
) -> str:
    """The sentence that says why ours minus published would mean nothing, or "" where it means something.

    `sizes`, `width` and `image_size` are those of the published study.
    """
    data, settings = facts["data"], facts["settings"]
    name = data.get("compare_with")
    if not name:
        return "No difference shown: the study names no published data set (`compare_with`)."
    reasons = []
    if measure != "dice":
        reasons.append("the paper reports Dice only")
    if data["kind"] == "simulated":
        reasons.append("these are simulated images made here")
    elif int(data["images"]) != sizes[name]:
        reasons.append(f"these are {data['images']} images, not the {sizes[name]} of {name}")
    if int(settings["width"]) != width:
        reasons.append(f"width {settings['width']} not {width}")
    if int(settings["image_size"]) != image_size:
        reasons.append(f"{settings['image_size']} not {image_size} pixels")
    return f"No difference shown: {', '.join(reasons)}." if reasons else ""
