"""A training as Lightning's guide writes it: a LightningModule, a BaseFinetuning callback, a Trainer with defaults."""

import tempfile
from typing import Any

import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import BaseFinetuning, ModelCheckpoint
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from benchmarks.peer_programs.plain import RANDOM, SAME, Images
from benchmarks.peer_programs.work import BATCH, RATE, Trial, Work, dice, network_of, run


class Segmenter(lightning.LightningModule):
    """The U-Net with its loss and its measures."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.network = network_of(work)

    def training_step(self, batch: Any) -> torch.Tensor:
        images, masks = batch
        return functional.binary_cross_entropy_with_logits(self.network(images), masks)

    def validation_step(self, batch: Any) -> None:
        images, masks = batch
        self.log("validation_loss", functional.binary_cross_entropy_with_logits(self.network(images), masks))

    def test_step(self, batch: Any) -> None:
        images, masks = batch
        self.log("dice", dice(self.network(images) >= 0, masks), batch_size=len(images))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam([one for one in self.parameters() if one.requires_grad], lr=RATE)


class OnlyUnits(BaseFinetuning):
    """Freezes what does not learn before the training begins."""

    def __init__(self, units: list[str]) -> None:
        super().__init__()
        self.units = units

    def freeze_before_training(self, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, Segmenter)
        units = pl_module.network.units()
        self.freeze([module for name in units if name not in self.units for module in units[name]], train_bn=False)

    def finetune_function(self, *_: object) -> None:
        """Nothing is unfrozen later."""


def train(work: Work, trial: Trial) -> float:
    """Fixed epochs with a validation after each; the test Dice of the best."""
    loader = DataLoader(
        Images(trial.training, v2.Compose([*RANDOM, *SAME])), BATCH, shuffle=True, drop_last=True, num_workers=2,
        persistent_workers=True,
    )  # fmt: skip
    validation = DataLoader(Images(trial.validation, v2.Compose(SAME)), BATCH, num_workers=2, persistent_workers=True)
    test = DataLoader(Images(trial.test, v2.Compose(SAME)), BATCH, num_workers=2)
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=work.epochs, default_root_dir=folder, accelerator="cpu", enable_progress_bar=False,
            enable_model_summary=False, logger=False,
            callbacks=[OnlyUnits(trial.units), ModelCheckpoint(folder, monitor="validation_loss")],
        )  # fmt: skip
        trainer.fit(Segmenter(work), loader, validation)
        return float(trainer.test(ckpt_path="best", dataloaders=test, verbose=False)[0]["dice"])


if __name__ == "__main__":
    run(train)
