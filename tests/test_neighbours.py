"""Frames among the training images: their nearest ones, another organ, another scanner, the page's words."""

import csv
import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient

from dashboard.inference.messages import NeighboursAnswer, NeighboursRequest, Preparing
from dashboard.inference.worker import InferenceWorker
from dashboard.live.answers import Choice, LiveAnswers
from dashboard.live.likeness import UNKNOWN, Likeness
from dashboard.live.neighbours import preparing, words
from dashboard.live.outputs import warning
from dashboard.live.stream import LIKE_SECONDS, LOOK_SECONDS, Streams, _Waiting
from dashboard.trained_trials import TrainedStudies
from engine.datasets import Dataset, make_dataset
from engine.datasets.simulated import simulated_dataset
from engine.errors import DataError
from engine.images import read_image, resize_image
from engine.models.unet import UNet
from engine.neighbours import FALSE_WARNINGS, SHOWN, Neighbours, Reference, neighbours, prepare, reference_of
from engine.predicting import TrainedNetwork, load_trial
from engine.prediction_files import find_files, write_predictions
from engine.store import Store
from engine.trial_images import trial_images
from tests.made import trial
from tests.made_classification import keep
from tests.made_files import dicom
from tests.trained_classes import STUDY as CLASS_STUDY
from tests.trained_classes import make_trained_classes
from tests.trained_store import attempt, png

PACKS = Path(__file__).parents[2] / "shared/data"
SIDE = 64
STUDY = "near"


def finished(work: Generator[float, None, Reference]) -> tuple[Reference, list[float]]:
    """What it returns, and the parts that it told of."""
    told = []
    while True:
        try:
            told.append(next(work))
        except StopIteration as end:
            return end.value, told


def made_network(folder: Path, dataset: Dataset) -> tuple[Store, TrainedNetwork, Path]:
    """A store with a trial on `dataset` (its network has random weights), the network, and the cache."""
    store, cache = Store.at(folder / "results"), folder / "cache"
    keep(dataset, cache)
    planned = trial("from scratch", data=dataset.fingerprint, width=8, image_size=SIDE, start_weights=None)
    store.begin(STUDY, f"name: {STUDY}\n")
    store.write_plan(STUDY, [planned], {"data": {"name": dataset.name, "structures": ["mask"]}})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        store.append(STUDY, attempt(planned, 0.9), weights=save(UNet(8).state_dict()))
    return store, load_trial(store, STUDY, "best", device="cpu"), cache


def asked(reference: Reference, network: TrainedNetwork, frames: list[np.ndarray]) -> list[Neighbours]:
    return [neighbours(reference, network, np.ascontiguousarray(frame)) for frame in frames]


def part_unlike(found: list[Neighbours]) -> float:
    return float(np.mean([one.unlike for one in found]))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, TrainedNetwork, Path]:
    return made_network(tmp_path_factory.mktemp("simulated"), simulated_dataset(80, SIDE, 0, "A"))


@pytest.fixture(scope="module")
def reference(simulated: tuple[Store, TrainedNetwork, Path]) -> Reference:
    found, told = finished(prepare(*simulated))
    assert told == sorted(told)
    return found


def test_a_training_image_is_its_own_nearest_neighbour(
    simulated: tuple[Store, TrainedNetwork, Path], reference: Reference
) -> None:
    store, network, cache = simulated
    row = store.plan(STUDY).iloc[0].to_dict()
    images = trial_images({str(key): value for key, value in row.items()}, cache, STUDY)
    assert reference.index.tolist() == list(images.split.training)
    for place in images.split.training[:5]:
        found = neighbours(reference, network, np.array(images.dataset.images[place]))
        assert found.index[0] == place
        assert found.distances[0] == pytest.approx(0, abs=2e-3)
        assert list(found.distances) == sorted(found.distances)
        assert len(found.index) == SHOWN
    low, high = reference.places.min(axis=0), reference.places.max(axis=0)
    assert (low <= found.place).all()
    assert (found.place <= high).all()
    within = [one.part for one in asked(reference, network, [images.dataset.images[n] for n in images.split.test])]
    assert 0.1 < np.mean(within) < 0.9


def test_the_table_of_predictions_says_which_frames_are_unlike(
    simulated: tuple[Store, TrainedNetwork, Path], reference: Reference, tmp_path: Path
) -> None:
    store, network, cache = simulated
    row = {str(key): value for key, value in store.plan(STUDY).iloc[0].to_dict().items()}
    images = trial_images(row, cache, STUDY)
    (tmp_path / "own.png").write_bytes(png(np.array(images.dataset.images[images.split.training[0]])))
    (tmp_path / "other.png").write_bytes(png(np.indices((64, 64)).sum(axis=0).astype(np.uint8) % 2 * 255))
    written = write_predictions(
        network, find_files([tmp_path]), tmp_path / "out", reference=reference_of(store, network, cache)
    )
    rows = pd.read_csv(written.table).set_index("file")
    assert rows["unlike"].to_dict() == {"own.png": False, "other.png": True}
    assert rows["distance_threshold"].tolist() == pytest.approx([reference.threshold] * 2, rel=1e-3)
    assert (rows["look"] > rows["look_threshold"]).to_dict() == {"own.png": False, "other.png": True}


def test_both_ways_together_hold_the_wanted_part_of_the_validation_images(
    simulated: tuple[Store, TrainedNetwork, Path], reference: Reference
) -> None:
    store, network, cache = simulated
    row = {str(key): value for key, value in store.plan(STUDY).iloc[0].to_dict().items()}
    images = trial_images(row, cache, STUDY)
    whom = images.split.training if reference.from_training else images.split.validation
    assert len(whom) == len(reference.distances)
    assert reference.warned <= FALSE_WARNINGS * len(whom)
    if not reference.from_training:
        found = asked(reference, network, [images.dataset.images[place] for place in whom])
        assert sum(one.unlike for one in found) == reference.warned
    assert reference.warned / len(whom) <= reference.left_out <= 0.3


def test_it_is_kept_for_the_next_time_and_made_again_where_it_is_damaged(
    simulated: tuple[Store, TrainedNetwork, Path], reference: Reference
) -> None:
    again, told = finished(prepare(*simulated))
    assert told == []
    np.testing.assert_array_equal(again.vectors, reference.vectors)
    (kept,) = (simulated[2] / "neighbours").glob("*.npz")
    kept.write_bytes(kept.read_bytes()[:500])
    made_again = finished(prepare(*simulated))[0]
    assert made_again.threshold == pytest.approx(reference.threshold)
    assert (made_again.warned, made_again.left_out) == (reference.warned, reference.left_out)
    assert (again.warned, again.left_out) == (reference.warned, reference.left_out)


def test_another_simulated_scanner_is_warned_of(
    simulated: tuple[Store, TrainedNetwork, Path], reference: Reference
) -> None:
    network = simulated[1]
    same, other = (list(simulated_dataset(10, SIDE, 7, scanner).images) for scanner in ("A", "B"))
    assert part_unlike(asked(reference, network, same)) <= 0.3
    assert part_unlike(asked(reference, network, other)) >= 0.9


def pack(name: str, count: int, column: str = "", value: str = "") -> list[np.ndarray]:
    """Images of a real pack at the network's size, spread over it."""
    with (PACKS / name / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if not column or row[column] == value]
    chosen = rows[:: max(1, len(rows) // count)][:count]
    return [resize_image(read_image(PACKS / name / row["image"]).pixels, SIDE) for row in chosen]


@pytest.mark.skipif(not PACKS.is_dir(), reason="the real images are not on this machine")
@pytest.mark.parametrize(
    ("own", "others"),
    [
        (("hc18_fetal_head", "", ""), [("bus_uclm_breast", "", ""), ("usgra_nerve_vessel", "", "")]),
        (("pocus_lung_probe", "scanner", "convex_probe"), [("pocus_lung_probe", "scanner", "linear_probe")]),
    ],
    ids=["another organ", "another probe"],
)
def test_real_images_of_another_organ_or_scanner_are_warned_of(
    tmp_path: Path, own: tuple[str, str, str], others: list[tuple[str, str, str]]
) -> None:
    images = np.stack(pack(own[0], 150, *own[1:]))
    table = pd.DataFrame({"image": [f"{own[0]} {place}" for place in range(len(images))]})
    dataset = make_dataset(name=own[0], provenance="", images=images, masks=np.zeros_like(images), table=table)
    store, network, cache = made_network(tmp_path, dataset)
    reference, _ = finished(prepare(store, network, cache))
    row = {str(key): value for key, value in store.plan(STUDY).iloc[0].to_dict().items()}
    test = [dataset.images[place] for place in trial_images(row, cache, STUDY).split.test]
    same = part_unlike(asked(reference, network, test))
    assert same <= 0.3
    for other in others:
        assert part_unlike(asked(reference, network, pack(other[0], 20, *other[1:]))) >= max(0.7, 2 * same)


def test_a_classifiers_neighbours_are_by_the_layer_before_its_output(tmp_path: Path) -> None:
    trained = make_trained_classes(tmp_path)
    network = load_trial(trained.store, CLASS_STUDY, trained.tuned.id, cache=trained.cache, device="cpu")
    reference, _ = finished(prepare(trained.store, network, trained.cache))
    place = int(reference.index[0])
    found = neighbours(reference, network, np.array(trained.dataset.images[place]))
    assert found.distances[0] == pytest.approx(0, abs=2e-3)
    assert np.linalg.norm(reference.vectors, axis=1) == pytest.approx(1, abs=1e-3)


def test_images_that_are_gone_are_said(simulated: tuple[Store, TrainedNetwork, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not in the cache any more"):
        next(prepare(*simulated[:2], tmp_path))


def test_the_process_answers_slice_by_slice_and_the_page_warns(
    simulated: tuple[Store, TrainedNetwork, Path], reference: Reference
) -> None:
    store, network, cache = simulated
    for kept in (cache / "neighbours").glob("*.npz"):
        kept.unlink()
    with InferenceWorker(str(store.files.root), cache=cache, threads=1) as worker:

        def ask(frame: np.ndarray) -> tuple[NeighboursAnswer, int]:
            request = NeighboursRequest(study=STUDY, trial_id=network.model.trial_id, frame=png(frame))
            waited = 0
            while isinstance(found := worker.neighbours(request), Preparing):
                assert "Looking at the training images" in preparing(found)
                waited += 1
            return found, waited

        same, waited = ask(np.array(simulated_dataset(1, SIDE, 0, "A").images[0]))
        assert waited >= 1
        other, waited = ask(np.array(simulated_dataset(1, SIDE, 7, "B").images[0]))
        assert waited == 0
    assert not same.unlike
    assert other.unlike
    assert len(same.nearest) == SHOWN
    assert same.nearest[0].picture.startswith(b"\x89PNG")
    told = words(other)
    assert 'role="alert"' in told
    assert "unlike anything that this network was trained on" in told
    assert told.count("<circle") == len(reference.index) + 1
    calm = words(same)
    assert "no proof that the network is right" in calm
    assert f"warn of {reference.warned} of the {len(reference.distances)}" in calm
    assert f"false warnings of {100 * reference.left_out:.2g} %" in calm


def test_the_page_warns_of_a_file_by_itself_and_says_nothing_of_others(
    simulated: tuple[Store, TrainedNetwork, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, network, cache = simulated
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    choice = Choice(study=STUDY, trial=network.model.trial_id)
    with InferenceWorker(str(store.files.root), cache=cache, threads=1) as worker:
        live = LiveAnswers(TrainedStudies(store), worker)

        def said(content: bytes) -> list[str]:
            (tmp_path / "frame").write_bytes(content)
            return list(warning(live, choice, {"path": str(tmp_path / "frame")}, None))

        like, other = (np.array(simulated_dataset(1, SIDE, *which).images[0]) for which in ((0, "A"), (7, "B")))
        assert set(said(png(like))) == {""}
        assert "unlike anything that this network was trained on" in said(dicom([other] * 3))[-1]
        assert said(b"no image") == [""]
        assert list(warning(live, choice, None, None)) == [""]
        monkeypatch.setattr("dashboard.live.answers.LARGEST_COMPARED", 10)
        assert said(png(other)) == [""]


def test_programs_are_told_at_once_and_of_likeness_when_it_is_known(
    simulated: tuple[Store, TrainedNetwork, Path], reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, network, cache = simulated
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with InferenceWorker(str(store.files.root), cache=cache, threads=1) as worker:
        live = LiveAnswers(TrainedStudies(store), worker)
        choice = Choice(study=STUDY, trial=network.model.trial_id)
        like, unlike = (np.array(simulated_dataset(1, SIDE, *which).images[0]) for which in ((0, "A"), (7, "B")))
        assert live.likeness(choice, png(like)) == UNKNOWN
        until = time.monotonic() + 120
        while live.likeness(choice, png(like))["unlike"] is None and time.monotonic() < until:
            time.sleep(0.05)
        assert live.likeness(choice, png(like))["unlike"] is False
        said = live.likeness(choice, png(unlike))
        (tmp_path / "clip").write_bytes(dicom([like, unlike, like]))
        assert live.likeness_of_file(choice, {"path": str(tmp_path / "clip")})["unlike"] is True
        monkeypatch.setattr("dashboard.live.answers.LARGEST_COMPARED", 10)
        assert live.likeness_of_file(choice, {"path": str(tmp_path / "clip")}) == UNKNOWN
    assert said["unlike"] is True
    assert said["look"] > said["look_threshold"] == pytest.approx(reference.look_threshold)
    assert said.keys() == UNKNOWN.keys()


def test_a_frame_long_after_the_one_that_was_looked_at_has_no_likeness(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, now = _Waiting(), [100.0]
    monkeypatch.setattr("dashboard.live.stream.time.monotonic", lambda: now[0])
    assert waiting.likeness_of("s", "t") == UNKNOWN
    waiting.likeness["s", "t"] = 100.0, {**UNKNOWN, "unlike": True}
    now[0] += LIKE_SECONDS
    assert waiting.likeness_of("s", "t")["unlike"] is True
    now[0] += 0.1
    assert waiting.likeness_of("s", "t") == UNKNOWN


def test_a_trial_whose_images_were_gone_is_asked_for_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[NeighboursRequest] = []

    class Gone(InferenceWorker):
        def neighbours(self, request: NeighboursRequest) -> NeighboursAnswer | Preparing:
            asked.append(request)
            raise DataError("its images are gone")

    request = NeighboursRequest(study="s", trial_id="t", frame=b"", scanner="", pictures=False)

    def times_asked(known: Likeness) -> int:
        asked.clear()
        until = time.monotonic() + 1.0
        while len(asked) < 3 and time.monotonic() < until:
            assert known.of(request) == UNKNOWN
            time.sleep(0.01)
        return len(asked)

    assert times_asked(Likeness(Gone("nowhere"))) == 1
    monkeypatch.setattr("dashboard.live.likeness.AGAIN_SECONDS", 0.0)
    assert times_asked(Likeness(Gone("nowhere"))) == 3


def test_a_stream_says_within_a_second_whether_its_frames_are_unlike(
    simulated: tuple[Store, TrainedNetwork, Path], reference: Reference
) -> None:
    store, network, cache = simulated
    like, other = (png(np.array(simulated_dataset(1, SIDE, *which).images[0])) for which in ((0, "A"), (7, "B")))
    with InferenceWorker(str(store.files.root), cache=cache, threads=1) as worker:
        page = TestClient(Starlette(routes=[WebSocketRoute("/stream", Streams(worker, Likeness(worker)).answer)]))
        with page.websocket_connect("/stream") as socket:

            def said(frame: bytes) -> dict[str, Any]:
                socket.send_bytes(frame)
                answer = socket.receive_bytes()
                return dict(json.loads(answer[4 : 4 + int.from_bytes(answer[:4], "big")]))

            def seen(frame: bytes, wanted: bool) -> dict[str, Any]:
                until = time.monotonic() + 30
                while (found := said(frame))["unlike"] is not wanted and time.monotonic() < until:
                    time.sleep(0.05)
                return found

            socket.send_text(json.dumps({"study": STUDY, "trial": network.model.trial_id}))
            assert "problem" in said(b"no picture")
            time.sleep(1.5 * LOOK_SECONDS)  # what cannot be answered is not looked at
            assert said(like)["unlike"] is None
            assert seen(like, False)["unlike"] is False
            found = seen(other, True)
            assert found["unlike"] is True
            assert found["area_pixels"] >= 0
            assert found["look_threshold"] == pytest.approx(reference.look_threshold)
            socket.send_bytes(b"no picture")
            assert "unlike" not in json.loads(socket.receive_bytes()[4:])
