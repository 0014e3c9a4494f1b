"""The built-in data set: simulated B-mode images with their lesions as masks."""

import pandas as pd

from engine.datasets.dataset import Dataset, make_dataset
from engine.simulator import SUS, simulate


def simulated_dataset(images: int = 85, image_size: int = 128, seed: int = 0) -> Dataset:
    """SUS as far as it is published: a Dataset of `images` simulated B-mode images, no groups.

    The table also says how many lesions an image has and how strong each echoes (`k`, background = 1).
    """
    made, masks, phantoms = simulate(images, image_size, seed)
    table = pd.DataFrame(
        {
            "image": [f"simulated {index:03d}" for index in range(images)],
            "lesions": [str(len(lesions)) for lesions in phantoms],
            "k": [" ".join(f"{lesion.k:.2f}" for lesion in lesions) for lesions in phantoms],
            "scanner": "simulated linear array",
            "spacing_mm": SUS.depth_mm / image_size,
        }
    )
    return make_dataset(
        name="SUS (simulated)",
        provenance=(
            f"{images} B-mode images simulated here (scatterers, {SUS.lines} RF lines, "
            f"{SUS.centre_frequency_mhz} MHz, hypoechoic lesions), seed {seed}; not images of people"
        ),
        images=made,
        masks=masks,
        table=table,
    )
