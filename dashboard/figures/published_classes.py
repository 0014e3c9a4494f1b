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


def published_measures(networks: Collection[str]) -> pd.DataFrame:
    """Cheng and Malhi's measures of these networks (as pages call them) and of the radiologist, titled as ours.

    Accuracies in percent; NaN where the paper has none. Empty without one of its networks.
    """
    shown = [reader for reader in cheng2017.READERS if CHENG.get(reader, PERSON) in {*networks, PERSON}]
    if not set(shown) & set(CHENG):
        return pd.DataFrame()
    results = cheng2017.results()
    results = results.assign(percent=100 * results["correct"] / results["images"])
    wide = results.pivot(index="reader", columns=["subset", "top"], values="percent").reindex(shown)
    times = cheng2017.times()
    seconds = times[times["what"] == "per test image"].set_index("reader")["value"]
    trained = float(cheng2017.classes()["training"].sum())
    scanners = {f"scanner {name} (%)": wide[f"test, {name}", 1].to_numpy() for name in ("Toshiba", "Philips")}
    return pd.DataFrame(
        {
            "reader": [f"{CHENG[reader]} · {TRAINED}" if reader in CHENG else reader for reader in shown],
            "accuracy (%)": wide["test", 1].to_numpy(),
            "top-2 (%)": wide["test", 2].to_numpy(),
            "on training images (%)": wide["train", 1].to_numpy(),
            **scanners,
            "ms per image": [1000 * seconds.get(reader, np.nan) for reader in shown],
            "training images": [trained if reader in CHENG else np.nan for reader in shown],
            "images": cheng2017.TEST_IMAGES,
        }
    )


def published_tests(networks: Collection[str]) -> pd.DataFrame:
    """Cheng and Malhi's chi-square tests, as printed, of these networks (as pages call them) and the radiologist."""
    tests = cheng2017.tests()
    missing = [name for name, own in CHENG.items() if own not in networks]
    found: pd.DataFrame = tests[[not any(name in said for name in missing) for said in tests["comparison"]]]
    return found.reset_index(drop=True)


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
