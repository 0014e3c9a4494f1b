"""What a training does with images: outline structures (`masks`), or tell classes of images apart (`labels`)."""

from collections.abc import Sequence

import torch

from engine.datasets import Dataset
from engine.splits import Split
from engine.strategies import Network
from engine.tasks.labels import Classification
from engine.tasks.masks import Segmentation
from engine.tasks.work import Score, Work
from engine.trial import Trial

__all__ = ["Classification", "Score", "Segmentation", "Work", "work_of"]


def work_of(trial: Trial, network: Network, dataset: Dataset, split: Split, *, old_classes: Sequence[str] = ()) -> Work:
    """The part of a training that depends on its task.

    `old_classes` are those of the start weights, in their order; what is left of the old task is measured where they
    are the study's.
    """
    device = torch.device(trial.device)
    if trial.task == "segmentation":
        return Segmentation(trial, network, dataset, split, device)
    return Classification(trial, network, dataset, split, device, old_classes)
