"""Images, masks, groups and scanners of one data set, as arrays: made on the spot or read from disk."""

from engine.datasets.cached import load_cached, open_dataset
from engine.datasets.dataset import Dataset, is_sound, make_dataset
from engine.datasets.folder import read_folder
from engine.datasets.labelled import read_labelled
from engine.datasets.simulated import simulated_dataset

__all__ = [
    "Dataset",
    "is_sound",
    "load_cached",
    "make_dataset",
    "open_dataset",
    "read_folder",
    "read_labelled",
    "simulated_dataset",
]
