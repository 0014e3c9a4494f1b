"""A training as MONAI's tutorials write it: dictionaries of files, CacheDataset, its transforms, loss and inferers."""

import torch
from monai.data import CacheDataset, DataLoader
from monai.metrics import DiceMetric
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    LoadImaged,
    RandAffined,
    RandFlipd,
    Resized,
    ScaleIntensityRanged,
)
from torch.nn import functional

from benchmarks.peer_programs.work import BATCH, RATE, SHIFT, SIZE, ZOOM, Trial, Work, dice, freeze, network_of, run

KEYS = ("image", "mask")
SAME = [
    LoadImaged(KEYS, image_only=True),
    EnsureChannelFirstd(KEYS),
    ScaleIntensityRanged(KEYS, 0, 255, 0, 1),
    Resized(KEYS, (SIZE, SIZE), mode=("bilinear", "nearest")),
]
RANDOM = [
    RandFlipd(KEYS, prob=0.5, spatial_axis=0),  # MONAI reads pictures with the width first
    RandAffined(
        KEYS, prob=1.0, translate_range=(SHIFT * SIZE, SHIFT * SIZE), scale_range=(ZOOM, ZOOM),
        mode=("bilinear", "nearest"), padding_mode="border",
    ),
]  # fmt: skip


def train(work: Work, trial: Trial) -> float:
    """Fixed epochs with a validation after each; the test Dice of the best."""
    parts = [
        CacheDataset(
            [dict(zip(KEYS, pair, strict=True)) for pair in files], Compose(steps), num_workers=2, progress=False
        )
        for files, steps in ((trial.training, SAME + RANDOM), (trial.validation, SAME), (trial.test, SAME))
    ]
    loader = DataLoader(parts[0], batch_size=BATCH, shuffle=True, drop_last=True)
    validation, test = (DataLoader(part, batch_size=BATCH) for part in parts[1:])
    network = network_of(work)
    optimiser = torch.optim.Adam(freeze(network, trial.units), lr=RATE)
    measure = DiceMetric(include_background=True)
    highest, best = -1.0, network.state_dict()
    for _ in range(work.epochs):
        network.train()
        for batch in loader:
            optimiser.zero_grad()
            loss = functional.binary_cross_entropy_with_logits(network(batch["image"]), (batch["mask"] > 0.5).float())
            loss.backward()
            optimiser.step()
        network.eval()
        measure.reset()
        with torch.no_grad():
            for batch in validation:
                measure((network(batch["image"]) >= 0).float(), (batch["mask"] > 0.5).float())
        if (score := float(measure.aggregate())) > highest:
            highest, best = score, {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(best)
    network.eval()
    with torch.no_grad():
        scores = [(dice(network(batch["image"]) >= 0, batch["mask"] > 0.5), len(batch["image"])) for batch in test]
    return sum(score * images for score, images in scores) / sum(images for _, images in scores)


if __name__ == "__main__":
    run(train)
