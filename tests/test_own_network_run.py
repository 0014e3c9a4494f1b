"""A network of one's own from its study file to an answer: trained under a real Ray, served by the command."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from engine.store import Store
from tests.trained_store import disc, png

pytestmark = [pytest.mark.slow, pytest.mark.ray]

NETWORK = "network_of_mine:build"
CODE = """
from torch import nn

def build(classes=1):
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, classes, 1))
"""
STUDY = f"""\
name: mine
data: {{kind: simulated, images: 15}}
model: {{name: '{NETWORK}', image_size: 32, units: {{first: ['0'], last: ['2']}}}}
strategies: [from scratch]
reference: from scratch
folds: {{of: 5, run: [0]}}
fractions: [80]
training: {{max_epochs: 1, batches_per_epoch: 1}}
"""


ALONE = {name: value for name, value in os.environ.items() if not name.startswith("WHICHLAYERS_")}


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    """The address of `whichlayers serve` on what was run in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "whichlayers", "serve", "--port", port, "--store", "results", "--cache", "cache"]
    server = subprocess.Popen([*command, *options], cwd=folder, env=ALONE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().removeprefix("WhichLayers: ").strip().rstrip("/")
    finally:
        server.terminate()
        server.communicate(timeout=60)


def test_a_network_of_ones_own_is_trained_by_workers_and_served_where_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "network_of_mine.py").write_text(CODE)
    (tmp_path / "mine.yaml").write_text(STUDY)
    command = [sys.executable, "-m", "whichlayers", "run", "mine.yaml", "--store", "results", "--cache", "cache"]
    done = subprocess.run(command, cwd=tmp_path, env=ALONE, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    attempts = Store.at(tmp_path / "results").attempts("mine")
    assert attempts["state"].isin(["completed", "not_converged"]).tolist() == [True]

    query = {"study": "mine", "trial": "best", "pictures": "no"}
    frame = png(disc(32, 32, 9))
    for options, status in (((), 422), (("--own-network", NETWORK), 200)):
        with serving(tmp_path, *options) as address:
            answer = httpx.post(f"{address}/inference/frame", params=query, content=frame, timeout=120)
        assert answer.status_code == status, answer.text
        if status == 422:
            assert f"network '{NETWORK}' is code that a study names and nobody allowed here" in answer.json()["problem"]
        else:
            assert answer.json()["height"] == 32
