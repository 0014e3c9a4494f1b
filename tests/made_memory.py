"""A training that finds no memory, for processes that must be able to import it by name."""

from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.without_ray import Work
from engine.store import Store
from engine.trial import Epoch, State, Trial
from tests.made import attempt


def short_of_memory(trial: Trial, number: int, work: Work, store: Store, report: Callable[[Epoch], None]) -> State:
    """Block 9 in fold 0 finds no memory once, from scratch in fold 1 never."""
    marker = Path(work.root) / f"{trial.id} was here"
    if trial.strategy == "from scratch" and trial.fold == 1:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    if trial.strategy == "block 9" and trial.fold == 0 and not marker.exists():
        marker.touch()
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")
    store.append(work.study, attempt(trial, number=number))
    return "completed"
