"""Clips on the Live page: in turns, over the API with its Python client, over the websocket; their timeline."""

import csv
import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from websockets.sync.client import connect

from dashboard.inference import clips as clips_at_work
from dashboard.inference.messages import TABLE, ClipBegun, ClipFrames, ClipRequest, ClipRow, ClipStep, Preparing
from dashboard.inference.turns import Turns
from dashboard.inference.worker import InferenceWorker
from dashboard.live.clips import answer_clip
from dashboard.live.player import scrubber
from dashboard.live.timeline import MOST_POINTS, Timeline, timeline, timeline_table
from dashboard.live.words import clip_figures, kept_of
from engine.errors import DataError
from engine.images import Kept, open_clip
from engine.inference import load_model, predict
from engine.overlays import CYAN
from engine.predicting import load_trial
from tests import made_files
from tests.live_server import LiveServer
from tests.trained_store import STUDY, TrainedStore, disc, png

FRAMES = [disc(48, 64, radius) for radius in (6, 8, 10, 12, 14, 16, 18)]
DICOM = made_files.dicom(FRAMES, regions=[made_files.region((0, 0, 63, 47), spacing_cm=0.05)])


@pytest.fixture(scope="module")
def client(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(
        f"{live_server.address}/",
        verbose=False,
        analytics_enabled=False,
        download_files=tmp_path_factory.mktemp("down"),
    )


@pytest.fixture(scope="module")
def worker(trained: TrainedStore) -> Iterator[InferenceWorker]:
    with InferenceWorker(str(trained.root), threads=1) as running:
        yield running


def areas(trained: TrainedStore, trial: str) -> list[int]:
    model = load_model(trained.store, STUDY, trial, device="cpu")
    return [predict(model, frame).area_pixels for frame in FRAMES]


def test_the_python_client_asks_for_a_frame(client: Client, trained: TrainedStore, tmp_path: Path) -> None:
    (tmp_path / "frame.dcm").write_bytes(DICOM)
    said, mask, drawn = client.predict(
        STUDY, trained.bright.id[:8], handle_file(tmp_path / "frame.dcm"), "", "both", api_name="/ask"
    )
    assert said["area_pixels"] == areas(trained, trained.bright.id)[len(FRAMES) // 2]
    assert said["area_mm2"] == pytest.approx(0.25 * said["area_pixels"])
    assert said["structures"] == {"structure": {"area_pixels": said["area_pixels"], "area_mm2": said["area_mm2"]}}
    assert said["kept"]["frames"] == len(FRAMES)
    assert (np.asarray(Image.open(mask)) == 255).sum() == said["area_pixels"]
    assert (np.asarray(Image.open(drawn)) == CYAN).all(axis=2).any()


def test_the_python_client_asks_for_a_clip(client: Client, trained: TrainedStore, tmp_path: Path) -> None:
    (tmp_path / "clip.dcm").write_bytes(DICOM)
    said, table, drawn = client.predict(STUDY, "best", handle_file(tmp_path / "clip.dcm"), "", "outline",
                                        api_name="/ask_clip")  # fmt: skip
    assert said["frames"] == len(FRAMES)
    assert said["frames_per_second"] > 0
    assert said["unlike"] is None, "the study's images are gone"
    with Path(table).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    expected = areas(trained, trained.bright.id)
    assert [int(row["area_pixels of structure"]) for row in rows] == expected
    assert [float(row["area_mm2 of structure"]) for row in rows] == pytest.approx([area / 4 for area in expected])
    assert [row["seconds"] for row in rows][:3] == ["0.000", "0.040", "0.080"]
    with open_clip(Path(drawn)) as clip:
        assert clip.kept.frames == len(FRAMES)


def test_a_clients_clip_tells_how_far_it_is_and_is_given_up(
    client: Client, trained: TrainedStore, tmp_path: Path
) -> None:
    count = 2000
    (tmp_path / "long.dcm").write_bytes(made_files.dicom([FRAMES[place % len(FRAMES)] for place in range(count)]))
    job = client.submit(STUDY, "best", handle_file(tmp_path / "long.dcm"), "", "outline", api_name="/ask_clip")
    until = time.monotonic() + 60
    while not job.outputs() and time.monotonic() < until:
        time.sleep(0.05)
    said, table, drawn = job.outputs()[0]
    assert 0 < said["frames"] < count
    assert (table, drawn) == (None, None)
    assert job.cancel(), "it is a generator"


def test_what_is_wrong_is_an_error_of_the_client_in_one_line(client: Client, tmp_path: Path) -> None:
    (tmp_path / "bad.dcm").write_bytes(DICOM[:400])
    for endpoint in ("/ask", "/ask_clip"):
        with pytest.raises(AppError) as caught:
            client.predict(STUDY, "best", handle_file(tmp_path / "bad.dcm"), "", "outline", api_name=endpoint)
        assert "\n" not in str(caught.value)
        assert "Traceback" not in str(caught.value)


def received(message: str | bytes) -> tuple[dict[str, Any], bytes]:
    assert isinstance(message, bytes)
    length = int.from_bytes(message[:4], "big")
    return json.loads(message[4 : 4 + length]), message[4 + length :]


def test_frames_over_the_websocket_are_answered_and_the_latest_one_wins(
    live_server: LiveServer, trained: TrainedStore
) -> None:
    with connect(f"{live_server.address.replace('http', 'ws')}/stream") as socket:
        socket.send(png(FRAMES[0]))
        assert "No trial chosen" in received(socket.recv(30))[0]["problem"]
        socket.send(json.dumps({"study": STUDY, "trial": trained.bright.id}))
        socket.send(b"no picture")
        assert 'role="alert"' in received(socket.recv(30))[0]["problem"]
        for _ in range(40):
            socket.send(png(FRAMES[0]))
        socket.send(png(FRAMES[-1]))
        expected, answers = areas(trained, trained.bright.id), []
        while not answers or answers[-1]["frame"] < 43:
            said, picture = received(socket.recv(30))
            answers.append(said)
        assert len(answers) < 41  # those in between were not answered
        assert answers[-1]["area_pixels"] == expected[-1]
        assert np.asarray(Image.open(io.BytesIO(picture))).shape == (48, 64, 3)
        socket.send(json.dumps({"study": STUDY, "trial": trained.dark.id, "overlay": "both"}))
        socket.send(png(FRAMES[-1]))
        said, _ = received(socket.recv(30))
        assert said["area_pixels"] > 2 * expected[-1]
        socket.send(json.dumps([1]))
        socket.send(png(FRAMES[-1]))
        assert "problem" in received(socket.recv(30))[0]


def test_two_trials_answer_the_same_frame_of_a_stream_and_no_other(
    live_server: LiveServer, trained: TrainedStore
) -> None:
    bright, dark = (areas(trained, trial.id) for trial in (trained.bright, trained.dark))
    assert len(set(zip(bright, dark, strict=True))) == len(FRAMES)
    with connect(f"{live_server.address.replace('http', 'ws')}/stream") as socket:
        both = {"study": STUDY, "trial": trained.bright.id, "study2": STUDY, "trial2": trained.dark.id}
        socket.send(json.dumps(both))
        sent, answers = 0, list[int]()
        while len(answers) < 12:
            while sent < (answers[-1] if answers else 0) + 5:
                socket.send(png(FRAMES[sent % len(FRAMES)]))
                sent += 1
            said, pictures = received(socket.recv(30))
            number = (said["frame"] - 1) % len(FRAMES)
            assert [one["trial"] for one in said["pair"]] == [trained.bright.id, trained.dark.id]
            assert [one["area_pixels"] for one in said["pair"]] == [bright[number], dark[number]]
            first, second = pictures[: said["bytes"][0]], pictures[said["bytes"][0] :]
            assert len(second) == said["bytes"][1]
            drawn = [np.asarray(Image.open(io.BytesIO(picture))) for picture in (first, second)]
            assert drawn[0].shape == drawn[1].shape == (48, 64, 3)
            assert (drawn[0] != drawn[1]).any()
            answers.append(said["frame"])
        assert answers == sorted(set(answers))
        assert answers[-1] > len(answers)  # frames in between were replaced


def test_a_second_trial_that_is_gone_is_said_beside_the_first_ones_answer(
    live_server: LiveServer, trained: TrainedStore
) -> None:
    with connect(f"{live_server.address.replace('http', 'ws')}/stream") as socket:
        socket.send(json.dumps({"study": STUDY, "trial": trained.bright.id, "study2": STUDY, "trial2": "f" * 16}))
        socket.send(png(FRAMES[0]))
        said, pictures = received(socket.recv(30))
        first, second = said["pair"]
        assert first["area_pixels"] == areas(trained, trained.bright.id)[0]
        assert 'role="alert"' in second["problem"]
        assert said["bytes"] == [len(pictures), 0]


def test_two_trials_look_at_a_clip_together(worker: InferenceWorker, trained: TrainedStore, tmp_path: Path) -> None:
    path = tmp_path / "clip"
    path.write_bytes(DICOM)
    states = list(
        answer_clip(worker, path, trials=[(STUDY, trained.bright.id), (STUDY, trained.dark.id)], labels=["a", "b"],
                    out=tmp_path, name="clip.dcm", overlay="both")
    )  # fmt: skip
    state = states[-1]
    assert state.frames == len(FRAMES)
    table = timeline_table(state.timeline)
    for place, trial in enumerate((trained.bright, trained.dark)):
        own = table[table["trial"] == place]
        assert own["value"].tolist() == pytest.approx([area / 4 for area in areas(trained, trial.id)])
    assert state.clip is not None
    with open_clip(state.clip) as clip:
        assert clip.kept.width == 2 * 64
    lines = (tmp_path / TABLE).read_text().splitlines()
    assert len(lines) == 1 + 2 * len(FRAMES)


def test_a_clip_that_nobody_wants_any_more_is_closed(
    worker: InferenceWorker, trained: TrainedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.live.clips.TELL_SECONDS", -1.0)
    path = tmp_path / "clip"
    path.write_bytes(made_files.dicom(FRAMES * 40))
    asked: list[ClipStep] = []
    steps = worker.step_clip
    monkeypatch.setattr(worker, "step_clip", lambda step: asked.append(step) or steps(step))
    states = answer_clip(worker, path, trials=[(STUDY, trained.bright.id)], labels=["a"], out=tmp_path, name="clip")
    assert 0 < next(states).frames < 280
    turn = Event()
    monkeypatch.setattr(worker, "step_clip", lambda step: (turn.wait(30), asked.append(step), steps(step))[-1])
    states.close()  # type: ignore[attr-defined]  # on the event loop, which waits for nobody's turn
    assert not asked[-1].end
    turn.set()
    until = time.monotonic() + 30
    while not asked[-1].end and time.monotonic() < until:
        time.sleep(0.01)
    assert asked[-1].end
    with pytest.raises(DataError, match="given up"):
        worker.step_clip(ClipStep(token=asked[-1].token))


def test_a_small_file_that_takes_long_ends_nobody_elses_inference(
    worker: InferenceWorker, trained: TrainedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = np.full((1500, 1500), 500, np.uint16)
    frame[0, 0] = 0
    path = tmp_path / "clip"
    encoded = [made_files.jpeg_2000(frame)] * 120
    path.write_bytes(made_files.dicom([frame], syntax=made_files.JPEG_2000, encoded=encoded, NumberOfFrames=120))
    assert path.stat().st_size < 200_000
    with open_clip(path) as clip:
        begun = time.perf_counter()
        assert clip.scaled_range == (0, 500)
        seconds = time.perf_counter() - begun
    worker.predict(STUDY, trained.bright.id, png(disc()))
    process = worker.process_id
    monkeypatch.setattr(worker, "_timeout_seconds", seconds / 2)  # what all frames take is over the time of a request
    others = list[int]()
    steps = worker.step_clip

    def step(asked: ClipStep) -> ClipFrames:
        found = steps(asked)
        if not found.rows:
            others.append(worker.predict(STUDY, trained.bright.id, png(disc())).area_pixels)
        return found

    monkeypatch.setattr(worker, "step_clip", step)
    *_, state = answer_clip(
        worker, path, trials=[(STUDY, trained.bright.id)], labels=["a"], out=tmp_path, name="clip.dcm"
    )
    assert state.frames == 120
    assert len(others) > 2
    assert worker.process_id == process


def test_a_file_that_takes_long_to_open_is_opened_beside_the_others(
    trained: TrainedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip"
    path.write_bytes(DICOM)
    network, clips, go_on = load_trial(trained.store, STUDY, "best", device="cpu"), clips_at_work.OpenClips(), Event()
    opened = clips_at_work.open_clip
    monkeypatch.setattr(clips_at_work, "open_clip", lambda *a, **more: go_on.wait(30) and opened(*a, **more))
    request = ClipRequest(token="a", trials=(), path=path, out=tmp_path, name="clip.dcm")
    assert isinstance(clips.begin(request, [network]), Preparing)
    go_on.set()

    def begin(token: str) -> ClipBegun:
        while isinstance(found := clips.begin(replace(request, token=token), [network]), Preparing):
            pass
        return found

    assert begin("a").kept.frames == len(FRAMES)
    assert clips.step(ClipStep(token="a", end=True)).finished
    monkeypatch.setattr(clips_at_work, "MOST_PIXELS", 48 * 64 * 6)
    with pytest.raises(DataError, match=r"^clip.dcm: 7 frames of 64 x 48 pixels; .* pixels in all are answered: cut"):
        begin("b")


def test_turns_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = Turns(), list[str]()

    def take(name: str) -> None:
        with turns:
            order.append(name)

    turns.acquire()
    waiting = [Thread(target=take, args=(name,)) for name in "abc"]
    for number, thread in enumerate(waiting, start=1):
        thread.start()
        while len(turns._waiting) < number:
            pass
    assert not turns.acquire(timeout=0.01)
    turns.release()
    take("last")
    for thread in waiting:
        thread.join()
    assert order == ["a", "b", "c", "last"]
    with pytest.raises(RuntimeError, match="nobody"):
        turns.release()


def begun(*, classifies: bool = False, **changes: Any) -> ClipBegun:
    facts: dict[str, Any] = {"format": "DICOM", "frames": 5000, "height": 48, "width": 64, "source_height": 48,
                             "source_width": 64, "frame_ms": 40.0}  # fmt: skip
    names = tuple(f"class {number}" for number in range(8)) if classifies else ("nerve", "vessel")
    return ClipBegun(kept=Kept(**{**facts, **changes}), names=(names,), classifies=(classifies,))


def test_a_timeline_stays_small_however_long_the_clip_is() -> None:
    kept = Timeline(begun=begun(), trials=("a",))
    for frame in range(1, 5001):
        kept.add([(ClipRow(frame=frame, values=(float(frame), 2.0), milliseconds=1.0),)])
    assert len(kept.rows) <= MOST_POINTS
    table = timeline_table(kept)
    nerve = table[table["name"] == "nerve"]
    assert nerve["frame"].diff().dropna().nunique() == 1
    assert nerve["at"].tolist()[:2] == [0.0, 0.16]
    figure = timeline(kept, table)
    assert [line.name for line in figure.data] == ["nerve", "vessel"]
    assert figure.layout.yaxis.title.text == "area (pixels)"
    assert figure.layout.xaxis.title.text == "seconds"


def test_a_timeline_of_classes_shows_the_most_probable_and_areas_are_in_mm2_where_they_can_be() -> None:
    kept = Timeline(begun=begun(classifies=True, frame_ms=None), trials=("a",))
    kept.add([(ClipRow(frame=1, values=(0.3, 0.2, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02), milliseconds=1.0),)])
    figure = timeline(kept, timeline_table(kept))
    assert [line.name for line in figure.data] == [f"class {number}" for number in range(5)]
    assert figure.layout.xaxis.title.text == "frame"
    measured = Timeline(begun=begun(spacing_mm=(0.5, 0.2)), trials=("a",))
    measured.add([(ClipRow(frame=1, values=(100.0, 10.0), milliseconds=1.0),)])
    assert timeline_table(measured)["value"].tolist() == pytest.approx([10.0, 1.0])
    assert timeline(measured, timeline_table(measured)).layout.yaxis.title.text == "area (mm²)"


def test_a_finished_clips_timeline_says_where_each_frame_stands() -> None:
    kept = Timeline(begun=begun(), trials=("a",))
    kept.add([(ClipRow(frame=frame, values=(1.0, 2.0), milliseconds=1.0),) for frame in range(1, 11)])
    figure = timeline(kept, timeline_table(kept), frames=10)
    assert figure.layout.meta == {"first": 0.0, "step": 0.04}
    assert figure.layout.shapes[0].x0 == figure.layout.shapes[0].x1 == 0.0
    assert figure.layout.xaxis.range == pytest.approx((0.0, 0.36))
    assert figure.data[0].customdata.tolist() == list(range(1, 11))
    assert not timeline(kept, timeline_table(kept)).layout.shapes  # nothing to play yet
    untimed = Timeline(begun=begun(frame_ms=None), trials=("a",))
    untimed.add([(ClipRow(frame=1, values=(1.0, 2.0), milliseconds=1.0),)])
    assert timeline(untimed, timeline_table(untimed), frames=1).layout.meta == {"first": 1.0, "step": 1.0}


@pytest.mark.parametrize(("frame_ms", "seconds"), [(40.0, 0.04), (None, 0.04), (5.0, 1 / 60), (5000.0, 1.0)])
def test_the_slider_counts_by_the_time_of_a_frame_in_the_written_clip(frame_ms: float | None, seconds: float) -> None:
    told = scrubber(1234, frame_ms)
    assert 'max="1234"' in told
    assert "frame 1 of 1,234" in told
    assert f'data-seconds="{seconds:.6f}"' in told


def test_what_was_kept_is_told_and_never_that_it_is_anonymous() -> None:
    told = kept_of(begun(spacing_mm=(0.5, 0.2), scanner="<Maker> 7", cut_away="30 % of each frame").kept)
    for part in ("5,000 frames", "64 × 48", "0.5 × 0.2 mm a pixel", "25 frames per second", "&lt;Maker&gt; 7",
                 "Cut away: 30 % of each frame", "Look for names"):  # fmt: skip
        assert part in told
    assert "anonym" not in told.lower()
    assert "areas in pixels alone" in kept_of(begun().kept)
    assert "<b>10</b> …" in clip_figures(begun(), 10, [20.0] * 10, 0.5, finished=False)
    assert "<b>20</b> frames per second" in clip_figures(begun(), 10, [20.0] * 10, 0.5, finished=True)
