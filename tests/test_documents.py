"""What is written leads somewhere: links between documents, and the summary of the benchmarks."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SUMMARY = "## What was asked for, and what was reached"


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings of a document in addresses."""
    heads = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```", "", text))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken(document: Path, text: str) -> list[str]:
    """Links of a text in this document to files or headings that are not there."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, heading = link.partition("#")
        place = document.parent / name if name else document
        if not place.exists() or (heading and heading not in anchors(place.read_text())):
            found.append(link)
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_to_files_and_headings_that_are_there(document: Path) -> None:
    assert broken(document, document.read_text()) == []


def test_a_link_to_nowhere_would_be_found() -> None:
    text = "[a](nowhere.md) [b](#no-such-heading) [c](server.md#measured) [d](https://doi.org/1)"
    assert broken(ROOT / "docs" / "benchmarks.md", text) == ["nowhere.md", "#no-such-heading"]


def test_every_goal_has_a_line_and_says_plainly_what_was_missed() -> None:
    above, _, text = (ROOT / "docs" / "benchmarks.md").read_text().partition(SUMMARY)
    assert "\n## " not in above, "the summary stands first"
    table, _, sections = text.partition("\n## ")
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")][1:]
    assert {len(line) for line in lines} == {4}
    assert all(reached.count("missed") == reached.count("**missed**") for _, _, reached, _ in lines)
    linked = set(re.findall(r"\(#([^)]+)\)", table))
    asking = [part for part in re.split(r"(?m)^##+ ", sections) if re.search(r"Asked for:", part)]
    heads = [f"## {part.splitlines()[0]}" for part in asking]
    assert len(asking) > 5
    assert all(anchors(head) <= linked for head in heads)
