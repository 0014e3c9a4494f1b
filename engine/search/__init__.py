"""Run a study: prepare data and start weights, plan, and let Ray Tune schedule what is missing.

The only room that knows Ray. Workers commit their own rows, so that nothing is lost with the driver.

    running.py      from a study to its results
    own_ray.py      a Ray of our own, and its folder, which goes when the run does, however that ends
    guard.py        ends what is left of a Ray whose run was killed
    line.py         trials that wait, handed to Tune one by one
    following.py    what people ask of the run
    listening.py    what Tune says of trials
    schedulers.py   ending trials that are behind
    worker.py       one trial in a worker
    endings.py      attempts that ended before their test
"""

from engine.preparation import prepare
from engine.search.running import run
from engine.search.worker import train_trial

__all__ = ["prepare", "run", "train_trial"]
