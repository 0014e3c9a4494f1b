"""A training as PyTorch's own tutorials write it: a Dataset that reads files, a DataLoader, a loop over epochs."""

import torch
from PIL import Image
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from benchmarks.peer_programs.work import BATCH, RATE, SHIFT, SIZE, ZOOM, Trial, Work, dice, freeze, network_of, run

Pair = tuple[torch.Tensor, torch.Tensor]
SAME = [v2.Resize((SIZE, SIZE)), v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True)]
RANDOM = [
    v2.RandomHorizontalFlip(),
    v2.RandomAffine(
        0, translate=(SHIFT, SHIFT), scale=(1 - ZOOM, 1 + ZOOM), interpolation=v2.InterpolationMode.BILINEAR
    ),
]


class Images(Dataset[Pair]):
    """Image and mask of each pair of files."""

    def __init__(self, files: list[list[str]], transform: v2.Compose) -> None:
        self.files, self.transform = files, transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Pair:
        image, mask = (v2.functional.pil_to_tensor(Image.open(file).convert("L")) for file in self.files[index])
        found, truth = self.transform(tv_tensors.Image(image), tv_tensors.Mask(mask))
        return found, (truth > 127).float()


def train(work: Work, trial: Trial) -> float:
    """Fixed epochs with a validation after each; the test Dice of the best."""
    loader = DataLoader(
        Images(trial.training, v2.Compose([*RANDOM, *SAME])), BATCH, shuffle=True, drop_last=True, num_workers=2,
        persistent_workers=True,
    )  # fmt: skip
    validation = DataLoader(Images(trial.validation, v2.Compose(SAME)), BATCH, num_workers=2, persistent_workers=True)
    test = DataLoader(Images(trial.test, v2.Compose(SAME)), BATCH)
    network = network_of(work)
    optimiser = torch.optim.Adam(freeze(network, trial.units), lr=RATE)
    lowest, best = float("inf"), network.state_dict()
    for _ in range(work.epochs):
        network.train()
        for images, masks in loader:
            optimiser.zero_grad()
            functional.binary_cross_entropy_with_logits(network(images), masks).backward()
            optimiser.step()
        network.eval()
        with torch.no_grad():
            losses = [float(functional.binary_cross_entropy_with_logits(network(x), y)) for x, y in validation]
        if sum(losses) < lowest:
            lowest, best = sum(losses), {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.load_state_dict(best)
    network.eval()
    with torch.no_grad():
        scores = [(dice(network(images) >= 0, masks), len(images)) for images, masks in test]
    return sum(score * images for score, images in scores) / sum(images for _, images in scores)


if __name__ == "__main__":
    run(train)
