"""A trained trial asked about files: from Python, as masks and a table, and by the command."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.malformed import peak_mib
from engine.clip_writing import clip_size, clip_writer
from engine.errors import DataError, StoreError
from engine.images import UNCUT, open_clip
from engine.inference import load_model, predict
from engine.overlays import COLOURS, CYAN, outline, shade
from engine.predicting import load_trial, predict_file
from engine.prediction_files import TABLE, Done, find_files, write_predictions
from engine.trained import find_trial, trained_trials
from tests import made_files
from tests.made_commands import whichlayers
from tests.trained_classes import STUDY as CLASS_STUDY
from tests.trained_classes import make_trained_classes
from tests.trained_store import STUDY, TrainedStore, another, attempt, disc, make_trained_store, png


def table(out: Path) -> list[dict[str, str]]:
    with (out / TABLE).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_best_is_by_validation_among_the_trials_of_most_images(tmp_path: Path) -> None:
    trained = make_trained_store(tmp_path)
    small = another(trained.bright, fraction=5.0)
    trained.store.write_plan(STUDY, [trained.bright, trained.dark, trained.scratch, small], trained.store.facts(STUDY))
    weights = trained.store.trained_weights(STUDY, trained.bright.id).read_bytes()
    trained.store.append(STUDY, attempt(small, 0.99), weights=weights)
    assert find_trial(trained.store, STUDY, "best") == trained.bright.id
    assert list(trained_trials(trained.store, STUDY)["id"])[-1] == small.id


def test_a_trial_is_named_by_its_first_letters(trained: TrainedStore) -> None:
    for letters in (trained.dark.id, trained.dark.id[:8], trained.dark.id[:8].upper()):
        assert find_trial(trained.store, STUDY, letters) == trained.dark.id
    with pytest.raises(StoreError, match="at least 4 letters"):
        find_trial(trained.store, STUDY, "a")
    with pytest.raises(StoreError, match="another id, or 'best'"):
        find_trial(trained.store, STUDY, "nonsense")
    with pytest.raises(StoreError, match="no study 'x'"):
        find_trial(trained.store, "x", "best")


def test_python_gives_an_answer_per_frame_with_its_area(trained: TrainedStore) -> None:
    network = load_trial(trained.store, STUDY, "best", device="cpu")
    frames = [disc(48, 64, radius) for radius in (8, 12, 16)]
    file = made_files.dicom(frames, regions=[made_files.region((0, 0, 63, 47), spacing_cm=0.02)])
    said = list(predict_file(network, io.BytesIO(file)))
    assert [one.frame for one in said] == [1, 2, 3]
    model = load_model(trained.store, STUDY, trained.bright.id, device="cpu")
    for one, frame in zip(said, frames, strict=True):
        np.testing.assert_array_equal(one.pixels, frame)
        assert one.outlined is not None
        np.testing.assert_array_equal(one.outlined.mask, predict(model, frame).mask)
        assert one.area_pixels == one.outlined.mask.sum() > 0
        assert one.area_mm2 == pytest.approx(one.area_pixels * 0.2**2)
        assert one.ranked == []
    (picture,) = predict_file(network, io.BytesIO(png(disc())))
    assert picture.area_mm2 is None
    assert picture.areas_pixels == {"structure": picture.area_pixels}


def test_masks_overlays_and_a_table_are_written_and_a_bad_file_is_a_line(trained: TrainedStore, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "in" / "out"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "one.png").write_bytes(png(disc()))
    (folder / "a" / "one.jpg").write_bytes(made_files.picture(disc(), "JPEG"))
    (folder / "bad.png").write_bytes(png(disc())[:200])
    moving = [disc(48, 64, radius) for radius in (8, 12, 16, 20)]
    (folder / "clip.dcm").write_bytes(
        made_files.dicom(moving, regions=[made_files.region((0, 0, 63, 47), spacing_cm=0.05)])
    )
    network = load_trial(trained.store, STUDY, trained.bright.id[:6], device="cpu")
    told: list[Done] = []
    for _ in range(2):  # the second call finds no answers of the first among its files
        files = find_files([folder], leave_out=out)
        written = write_predictions(network, files, out, kind="both", tell=told.append)
    assert [file.name for file in files] == ["a/one.jpg", "a/one.png", "bad.png", "clip.dcm"]
    assert (written.files, written.frames) == (3, 6)
    (problem,) = written.problems
    assert problem.startswith("bad.png: ")
    assert "truncated" in problem
    assert [one.problem for one in told[: len(told) // 2] if one.problem] == [problem]
    rows = table(out)
    assert [row["file"] for row in rows] == ["a/one.jpg", "a/one.png", *["clip.dcm"] * 4]
    assert [row["frame"] for row in rows] == ["1", "1", "1", "2", "3", "4"]
    assert rows[1]["mask"] == "masks/a/one-2.png"
    for row in rows:
        mask = np.asarray(Image.open(out / row["mask"]))
        assert set(np.unique(mask)) == {0, 255}
        assert mask.shape == (int(row["height"]), int(row["width"]))
        assert int(row["area_pixels"]) == (mask == 255).sum()
        assert (out / row["overlay"]).is_file()
    assert rows[0]["area_mm2"] == ""
    assert float(rows[3]["area_mm2"]) == pytest.approx(0.25 * int(rows[3]["area_pixels"]), abs=1e-3)
    assert len({row["overlay"] for row in rows}) == 3
    with open_clip(out / rows[-1]["overlay"]) as clip:
        assert clip.kept.frames == 4
        assert (clip.kept.height, clip.kept.width) == (48, 64)
    assert (np.asarray(Image.open(out / rows[1]["overlay"])) == CYAN).all(axis=2).any()


def test_a_clip_that_ends_early_keeps_its_answers_and_is_told_of(
    trained: TrainedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.dcm"
    path.write_bytes(made_files.dicom([disc(48, 64)] * 6)[: -48 * 64 * 2])
    network = load_trial(trained.store, STUDY, "best", device="cpu")
    written = write_predictions(network, find_files([path]), tmp_path / "out")
    assert len(written.problems) == 1
    assert written.frames == len(table(tmp_path / "out"))


def test_classes_come_as_a_table_with_the_first_three(tmp_path: Path) -> None:
    trained = make_trained_classes(tmp_path)
    network = load_trial(trained.store, CLASS_STUDY, trained.scratch.id, device="cpu")
    (tmp_path / "frame.png").write_bytes(png(disc()))
    written = write_predictions(network, find_files([tmp_path / "frame.png"]), tmp_path / "out")
    (row,) = table(tmp_path / "out")
    assert written.frames == 1
    parts = {name: float(row[f"probability of {name}"]) for name in network.names}
    assert sum(parts.values()) == pytest.approx(1, abs=1e-5)
    ranked = sorted(parts, key=lambda name: -parts[name])
    assert [row[f"class_{rank}"] for rank in (1, 2, 3)] == ranked
    assert float(row["probability_1"]) == max(parts.values())
    assert not (tmp_path / "out" / "masks").exists()


def test_memory_does_not_grow_with_the_length_of_a_clip(trained: TrainedStore, tmp_path: Path) -> None:
    network = load_trial(trained.store, STUDY, "best", device="cpu")
    paths = {frames: tmp_path / f"{frames}.dcm" for frames in (8, 88)}
    for frames, path in paths.items():
        path.write_bytes(made_files.dicom([np.roll(disc(512, 512, 90), number, axis=1) for number in range(frames)]))
    peaks = []
    for frames, path in paths.items():
        written = write_predictions(network, find_files([path]), tmp_path / f"out {frames}")
        assert written.frames == frames
        peaks.append(peak_mib())
    assert peaks[1] - peaks[0] < 12  # the long clip has 20 MiB more of pixels, and as much of masks and of colours


def test_what_is_not_there_and_folders_without_images_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        find_files([tmp_path, tmp_path / "gone.png"])
    assert len(caught.value.problems) == 2


def test_a_written_clip_is_reduced_and_even(tmp_path: Path) -> None:
    assert clip_size(480, 640) == (640, 480)
    assert clip_size(961, 1281) == (640, 480)
    assert clip_size(47, 63) == (64, 48)
    path = tmp_path / "clip.webm"
    with clip_writer(path, frame_ms=100.0) as add:
        for frame in made_files.moving(12, 95, 127):
            add(np.repeat(frame[..., None], 3, axis=2))
    with open_clip(path) as clip:
        assert clip.kept.format == "video, VP80"
        assert clip.kept.frames == 12
        assert clip.kept.frame_ms == pytest.approx(100, rel=0.02)
    with (
        pytest.raises(DataError, match="cannot be written"),
        clip_writer(tmp_path / "no" / "a.webm", frame_ms=None) as add,
    ):
        add(np.zeros((16, 16, 3), np.uint8))


def test_probabilities_colour_the_frame_and_structures_have_edges_of_their_own() -> None:
    frame = np.full((60, 80), 100, np.uint8)
    probability = np.zeros((60, 80), np.float32)
    probability[:, 40:] = 1.0
    shaded = shade(frame, probability)
    np.testing.assert_array_equal(shaded[:, :40], 100)
    assert (shaded[:, 40:] == shaded[0, 40]).all()
    assert shaded[0, 40].tolist() != [100, 100, 100]
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 10:40], mask[10:50, 40:70] = 1, 2
    drawn = outline(frame, mask)
    for colour in COLOURS[:2]:
        assert (np.abs(drawn.astype(int) - colour).max(axis=2) < 60).any()


def test_the_command_writes_and_says_how_many(trained: TrainedStore, tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(png(disc()))
    (tmp_path / "bad.png").write_bytes(b"text")
    options = ["--study", STUDY, "--store", str(trained.root), "--out", "out"]
    good = whichlayers("predict", *options, "good.png", folder=tmp_path)
    assert good.returncode == 0, good.stderr
    assert "1 frame of 1 file" in good.stdout
    assert "For research, not for diagnosis." in good.stdout
    assert good.stderr == ""
    both = whichlayers("predict", *options, "bad.png", "good.png", folder=tmp_path)
    assert both.returncode == 2
    assert both.stderr.splitlines()[0].startswith("bad.png: ")
    assert "Traceback" not in both.stderr
    assert len(table(tmp_path / "out")) == 1
    (tmp_path / "clip.dcm").write_bytes(made_files.dicom([disc(48, 64)] * 2))
    said = whichlayers("predict", *options, "clip.dcm", "good.png", folder=tmp_path)
    kept, plain = (
        next(line for line in said.stdout.splitlines() if line.startswith(name)) for name in ("clip", "good")
    )
    assert "2 frames · 64 × 48" in kept
    assert f"The header names no ultrasound region: {UNCUT}" in kept
    assert plain.startswith("good.png: PNG · 1 frame · 128 × 96")
    assert plain.endswith("Nothing was cut away.")
    assert [f"clip.dcm: {row['kept']}" for row in table(tmp_path / "out")][:2] == [kept] * 2
    assert "not compared with the training images" in said.stdout
    assert {row["unlike"] for row in table(tmp_path / "out")} == {""}
    wrong = whichlayers("predict", *options, "--trial", "zzzz", "good.png", folder=tmp_path)
    assert wrong.returncode == 2
    assert len(wrong.stderr.splitlines()) == 1
