"""The built-in data set: simulated B-mode images with their lesions as masks."""

from typing import Literal

import pandas as pd

from engine.datasets.dataset import Dataset, make_dataset
from engine.simulator import SCANNERS, simulate

_NAMES = {
    "A": ("SUS (simulated)", "simulated linear array"),
    "B": ("scanner B (simulated)", "simulated linear array B"),
}


def simulated_dataset(
    images: int = 85, image_size: int = 128, seed: int = 0, scanner: Literal["A", "B"] = "A"
) -> Dataset:
    """A Dataset of `images` simulated B-mode images, no groups; scanner A gives SUS as far as it is published.

    The table also says how many lesions an image has and how strong each echoes (`k`, background = 1).
    """
    array = SCANNERS[scanner]
    made, masks, phantoms = simulate(images, image_size, seed, array)
    name, shown = _NAMES[scanner]
    table = pd.DataFrame(
        {
            "image": [f"simulated {index:03d}" for index in range(images)],
            "lesions": [str(len(lesions)) for lesions in phantoms],
            "k": [" ".join(f"{lesion.k:.2f}" for lesion in lesions) for lesions in phantoms],
            "scanner": shown,
            "spacing_mm": array.depth_mm / image_size,
        }
    )
    return make_dataset(
        name=name,
        provenance=(
            f"{images} B-mode images simulated here (scatterers, {array.lines} RF lines, "
            f"{array.centre_frequency_mhz} MHz, hypoechoic lesions), seed {seed}; not images of people"
        ),
        images=made,
        masks=masks,
        table=table,
        structures=("lesion",),
    )
