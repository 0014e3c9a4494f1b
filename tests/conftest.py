"""What many tests need, visible in their signatures."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:  # jaxtyping checks only what is imported after this file
    from tests.live_server import LiveServer
    from tests.trained_store import TrainedStore

MAIN = sys.modules["__main__"]

LONGEST_REASON = 3000
"""Letters of a failure that was not the last word."""

settings.register_profile("untimed", deadline=None)  # no test depends on how busy a machine is
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images that lies beside the project, or a skip that says it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real images absent: no folder ../shared/data beside the project")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> "TrainedStore":
    """A store with a study whose trials are done."""
    from tests.trained_store import make_trained_store

    return make_trained_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def live_server(trained: "TrainedStore", tmp_path_factory: pytest.TempPathFactory) -> Iterator["LiveServer"]:
    """The Live program on that store."""
    from tests.live_server import served

    with served(trained.root, tmp_path_factory.mktemp("cache")) as running:
        yield running


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers (`-n 2 --dist loadgroup --no-loadscope-reorder`) a file stays whole, and one of them has all
    that start a Ray: first, since they take longest.
    """
    for item in items:
        group = "ray" if item.get_closest_marker("ray") else item.nodeid.partition("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are no name: gzip writes the second into them, and pytest-xdist's workers would collect different tests."""
    return argname if isinstance(val, bytes) else None


def pytest_runtest_setup() -> None:
    """Streamlit's AppTest leaves its script as the main module, which a process that a later test spawns would run."""
    sys.modules["__main__"] = MAIN


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why a test had to be run once more (see `tests/browser/conftest.py`): its name alone would tell nothing."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"run once more: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext[-LONGEST_REASON:])
