"""A seeded twentieth of the malformed files: each one line of error or frames, and memory bounded."""

from pathlib import Path

import pytest

from benchmarks.malformed import bombs, malformed, outcomes, whole_files
from benchmarks.malformed_served import sent


def test_malformed_files_are_one_line_or_an_image_and_memory_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    found = outcomes(50, seed=20)
    assert list(tmp_path.iterdir()) == []
    assert [one for one in found if one.result not in ("error", "image")] == []
    assert {one.result for one in found} == {"error", "image"}
    # Python with numpy and the decoders has about 120 MiB; the largest frame here has 2.
    assert max(one.peak_mib for one in found) < 400


@pytest.mark.slow
def test_a_server_answers_malformed_files_in_one_line_and_its_processes_live_on() -> None:
    found = sent(50, seed=20)
    assert [one for one in found.results if one[1] not in ("error", "image")] == []
    assert {result for _, result in found.results} == {"error", "image"}
    assert len(found.readers) == 1
    assert found.peak_mib < 2500  # torch alone has 700 in the one, pages and Gradio 400 in the other


def test_the_same_seed_makes_the_same_files() -> None:
    assert all(malformed(number, 3) == malformed(number, 3) for number in (1, 2, 10, 20))
    assert malformed(1, 3) != malformed(1, 4)


def test_a_reader_that_breaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import malformed as module

    whole = next(number for number in range(1000) if malformed(number, 0)[0].startswith("whole gray.png"))
    assert module.outcome(whole, 0).result == "image"

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("made")

    monkeypatch.setattr(module, "open_clip", broken)
    assert module.outcome(whole, 0).result == "ZeroDivisionError: made"


def test_every_bomb_is_small_and_every_kind_is_there() -> None:
    assert max(len(make()) for make in bombs().values()) < 2_000_000
    assert {name.rpartition(".")[2] for name in whole_files()} >= {
        "png",
        "tif",
        "gif",
        "nii",
        "gz",
        "mha",
        "dcm",
        "mp4",
    }
