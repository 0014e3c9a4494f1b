"""The door by which a worker of Ray comes in: what must be set before it loads PyTorch, then the trial."""

import os
from collections.abc import Mapping
from typing import Any

BEFORE_TORCH = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that wait for others sleep, and leave the cores to the other trials."""


def train_trial(config: Mapping[str, Any]) -> None:
    """As `engine.search.worker.train_trial`."""
    os.environ.update(BEFORE_TORCH)
    from engine.search import worker

    worker.train_trial(config)
