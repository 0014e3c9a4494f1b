"""The plain training under Ray Tune as its guide writes it: a function, a grid, defaults for everything else."""

import tempfile
import time
from dataclasses import asdict
from typing import Any

import torch

from benchmarks.peer_programs import plain
from benchmarks.peer_programs.common import Trial, Work, read, tell


def trainable(config: dict[str, Any]) -> None:
    """One trial of the grid."""
    from ray import tune

    torch.manual_seed(config["trial"]["seed"])
    begun = time.perf_counter()
    score = plain.train(Work([], config["epochs"], config["weights"]), Trial(**config["trial"]))
    tune.report({"dice": score, "own_seconds": time.perf_counter() - begun, "strategy": config["trial"]["strategy"]})


def main() -> None:
    """All trials, with Ray's start and end."""
    from ray import tune

    work, begun = read(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        space = {
            "trial": tune.grid_search([asdict(trial) for trial in work.trials]),
            "epochs": work.epochs,
            "weights": work.weights,
        }
        results = tune.Tuner(trainable, param_space=space, run_config=tune.RunConfig(storage_path=folder)).fit()
        seconds = (time.perf_counter() - begun) / len(work.trials)
        tell(
            [{"strategy": one.metrics["strategy"], "dice": one.metrics["dice"], "seconds": seconds} for one in results]
        )


if __name__ == "__main__":
    main()
