"""What is shipped around the code."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_no_file_names_a_package_index() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert not (ROOT / "uv.lock").exists()
    assert "--hash=sha256:" in lock


def test_the_lock_holds_every_dependency_of_the_project() -> None:
    locked = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements.lock").read_text(), flags=re.M)
    wanted = re.findall(r'^    "([A-Za-z0-9_.-]+)(?:\[[a-z]+\])?>=', (ROOT / "pyproject.toml").read_text(), flags=re.M)
    assert len(wanted) > 20
    assert {canonical(name) for name in wanted} <= {canonical(name) for name in locked}


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_setup_does_nothing_when_it_is_current() -> None:
    assert subprocess.run(["make", "--question", "setup"], cwd=ROOT, check=False).returncode == 0


def test_the_container_is_built_by_steps_that_run_here_too() -> None:
    text = (ROOT / "Dockerfile").read_text()
    steps = re.findall(r"^RUN (.*?)(?<!\\)$", text, flags=re.M | re.S)
    assert steps[-1] == "make setup"
    assert "USER whichlayers" in text
    assert text.index("USER whichlayers") < text.index("RUN make setup")
    copied = re.findall(r"^COPY --chown=\S+ (.*)$", text, flags=re.M)
    for sources in copied:
        for source in sources.split()[:-1]:
            assert (ROOT / source).exists(), source
    # The commands that the container runs are commands of ours.
    assert 'CMD ["whichlayers", "health"]' in text
    assert 'CMD ["serve", "--host", "0.0.0.0"]' in text
