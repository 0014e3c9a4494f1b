"""What Pasdeloup et al. 2018 and Cheng and Malhi 2017 print, as rows beside ours and as tables of their own."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from dashboard.figures.accuracy import COLUMNS
from dashboard.figures.readers import KNOWN_SCANNER, NETWORK, OUT_OF_THE_BOX, PERSON
from engine.published import cheng2017, pasdeloup2018
from engine.published.citation import Citation

PASDELOUP = {"CVCNet": "CVCNet", "MobileNet": "MobileNet v1"}
CHENG = {"CaffeNet": "CaffeNet", "VGGNet": "VGG16"}
"""Networks by their published names, as pages call ours."""
STRATEGIES = {
    "out of the box": OUT_OF_THE_BOX,
    "retrained from scratch": "from scratch",
    "output layers fine-tuned": "output layers",
    "input layers fine-tuned": "input layers",
}
TRAINED = "FC6-8"
"""What Cheng and Malhi 2017 fine-tuned."""


def published_rows(networks: Collection[str]) -> pd.DataFrame:
    """Published accuracies of these networks (as pages call them), and the radiologist beside Cheng and Malhi's.

    Columns as `accuracy.accuracy_table`; `sd` is what stands behind ± there.
    """
    found = []
    for row in pasdeloup2018.accuracy().to_dict("records"):
        network = PASDELOUP[row["model"]]
        known = row["scanner"] == pasdeloup2018.KNOWN
        spread = row["accuracy_percent_spread"]
        about = "" if pd.isna(spread) else f"; {pasdeloup2018.SPREAD}"
        found.append(
            _row(
                pasdeloup2018.CITATION, network, KNOWN_SCANNER if known else STRATEGIES[row["strategy"]],
                row["accuracy_percent_mean"] / 100, int(row["frames"]), f"{row['scanner']}{about}", sd=spread / 100,
                folds=0 if pd.isna(spread) else pasdeloup2018.FOLDS,
            )
        )  # fmt: skip
    results = cheng2017.results()
    for row in results[(results["subset"] == "test") & (results["top"] == 1)].to_dict("records"):
        reader = str(row["reader"])
        found.append(
            _row(
                cheng2017.CITATION, CHENG.get(reader, PERSON), TRAINED if reader in CHENG else reader,
                row["correct"] / row["images"], int(row["images"]), f"{row['correct']:,} of {row['images']:,}",
            )
        )  # fmt: skip
    table = pd.DataFrame(found, columns=COLUMNS)
    own = set(networks) - {PERSON}
    shown = own | ({PERSON} if own & set(CHENG.values()) else set())
    return table[table["network"].isin(shown)].reset_index(drop=True)


def _row(
    citation: Citation, network: str, strategy: str, accuracy: float, images: int, about: str, *,
    sd: float = float("nan"), folds: int = 0,
) -> dict[str, object]:  # fmt: skip
    person, nothing = network == PERSON, float("nan")
    return {
        "source": "published", "study": "", "reader": citation.short, "kind": PERSON if person else NETWORK,
        "network": network, "strategy": strategy, "fraction": nothing, "accuracy": accuracy, "low": nothing,
        "high": nothing, "sd": sd, "values": [], "images": images, "groups": 0, "folds": folds,
        "note": f"{citation.short}: {about}",
    }  # fmt: skip


def pasdeloup_table() -> pd.DataFrame:
    """Accuracy in percent, with its spread, of both networks by scanner and strategy."""
    table = pasdeloup2018.accuracy()
    told = [
        f"{mean:g}" + ("" if np.isnan(spread) else f" ± {spread:g}")
        for mean, spread in zip(table["accuracy_percent_mean"], table["accuracy_percent_spread"], strict=True)
    ]
    order = list(dict.fromkeys(zip(table["scanner"], table["strategy"], strict=True)))
    wide = table.assign(told=told).pivot(index=["scanner", "strategy"], columns="model", values="told")
    return wide.loc[order, list(dict.fromkeys(table["model"]))].reset_index()


def cheng_table() -> pd.DataFrame:
    """Images that each reader got right, of how many, and percent."""
    table = cheng2017.results()
    return table.assign(percent=(100 * table["correct"] / table["images"]).round(1))
