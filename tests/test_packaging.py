"""What is shipped around the code."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACEHOLDER = re.compile(r"@[A-Z][A-Z_]+@|\bTO_BE" + r"_MEASURED|[A-Z]_TO_BE" + r"_MEASURED")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def tracked(pattern: str = "*") -> list[Path]:
    """Files that git knows, and new ones that it does not ignore."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", pattern]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if said.returncode:
        pytest.skip(f"not a git checkout: {said.stderr.strip()}")
    return [ROOT / name for name in said.stdout.splitlines() if (ROOT / name).is_file()]


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere, as `page -> link`."""
    links = [link.split("#")[0] for link in LINK.findall(page.read_text())]
    return [f"{page.name} -> {link}" for link in links if "://" not in link and not (page.parent / link).exists()]


def test_links_between_our_pages_lead_somewhere() -> None:
    pages = tracked("*.md")
    assert len(pages) >= 3
    assert [broken for page in pages for broken in broken_links(page)] == []


def test_a_link_that_leads_nowhere_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[us](page.md#part) ![a picture](gone.png) [them](https://example.org) [here](#part)")
    assert broken_links(page) == ["page.md -> gone.png"]


def test_nothing_is_left_to_be_filled_in() -> None:
    contents = {path: path.read_bytes() for path in tracked()}
    texts = {path: read.decode(errors="ignore") for path, read in contents.items() if b"\0" not in read}
    assert len(texts) > 100, "pictures are left out, whose bytes may spell anything; texts are not"
    assert [
        f"{path.relative_to(ROOT)}: {PLACEHOLDER.findall(text)}"
        for path, text in texts.items()
        if PLACEHOLDER.search(text)
    ] == []


@pytest.mark.parametrize("text", ["@" + "DEMO@", "# Time  TIME_TO_BE" + "_MEASURED", "TO_BE" + "_MEASURED s"])
def test_a_placeholder_would_be_found(text: str) -> None:
    assert PLACEHOLDER.search(text)


def test_no_file_names_a_package_index() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert not (ROOT / "uv.lock").exists()
    assert "--hash=sha256:" in lock


def test_the_lock_holds_every_dependency_of_the_project() -> None:
    locked = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements.lock").read_text(), flags=re.M)
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [re.split(r"[\[>]", one)[0] for one in told["project"]["dependencies"] + told["dependency-groups"]["dev"]]
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
    assert 'CMD ["serve", "--host", "0.0.0.0", "--open-to-everybody"]' in text
    ignored = (ROOT / ".dockerignore").read_text().split("\n")
    assert {".venv", "results", ".git"} <= set(ignored)
    assert not {source for sources in copied for source in sources.split()[:-1]} & set(ignored)


def test_what_builds_the_package_is_locked_and_not_fetched_anew() -> None:
    required = re.search(r"^requires = \[(.*)\]$", (ROOT / "pyproject.toml").read_text(), flags=re.M)
    assert required
    locked = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements.lock").read_text(), flags=re.M)
    for name in (*re.findall(r'"([a-z]+)', required[1]), "editables"):
        assert name in locked
    assert "--no-build-isolation" in (ROOT / "Makefile").read_text()


def test_a_virtual_environment_that_failed_is_made_anew_and_says_what_to_install(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    # As on Debian without python3-venv: the python is there, pip is not, and venv ends with an error.
    python = tmp_path / "python-without-venv"
    python.write_text(
        f"""#!/bin/sh
if [ "$1" = -m ]; then
  echo "$@" >> {tmp_path}/asked
  mkdir -p .venv/bin && ln -sf {os.devnull} .venv/bin/python
  exit 1
fi
exec {sys.executable} "$@"
"""
    )
    python.chmod(0o755)
    for times in (1, 2):
        said = subprocess.run(
            ["make", "setup", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert said.returncode == 2, said.stderr
        assert "sudo apt-get install python3-venv" in said.stdout
        assert (tmp_path / "asked").read_text().splitlines() == ["-m venv --clear .venv"] * times
    assert not (tmp_path / ".venv" / ".current").exists()
