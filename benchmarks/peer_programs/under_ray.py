"""The plain training under Ray Tune as its guide writes it: a function, a grid, defaults for everything else."""

import tempfile
from dataclasses import asdict
from typing import Any

import torch

from benchmarks.peer_programs import plain
from benchmarks.peer_programs.work import Trial, Work, read, tell


def trainable(config: dict[str, Any]) -> None:
    """One trial of the grid."""
    from ray import tune

    trial = Trial(**config["trial"])
    torch.manual_seed(trial.seed)
    score = plain.train(Work([], config["epochs"], config["weights"]), trial)
    tune.report({"strategy": trial.strategy, "fold": trial.fold, "seed": trial.seed, "dice": score})


def main() -> None:
    """All trials as one grid."""
    from ray import tune

    work = read()
    with tempfile.TemporaryDirectory() as folder:
        space = {
            "trial": tune.grid_search([asdict(trial) for trial in work.trials]),
            "epochs": work.epochs,
            "weights": work.weights,
        }
        results = tune.Tuner(trainable, param_space=space, run_config=tune.RunConfig(storage_path=folder)).fit()
        if results.errors:
            raise results.errors[0]
        tell([{name: one.metrics[name] for name in ("strategy", "fold", "seed", "dice")} for one in results])


if __name__ == "__main__":
    main()
