"""The one process that answers frames: restarted when it dies or hangs, gone with the server."""

import io
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from safetensors.torch import save

from dashboard.inference.messages import Request
from dashboard.inference.worker import InferenceError, InferenceWorker, shared_worker
from engine.errors import DataError, StoreError, StrategyError, WhichLayersError
from engine.store import Store
from tests.made_files import metaimage
from tests.trained_store import SIZE, STUDY, WIDTH, TrainedStore, brightness_network, disc, png


@pytest.fixture(scope="module")
def worker(trained: TrainedStore) -> Iterator[InferenceWorker]:
    with InferenceWorker(str(trained.root), threads=1) as running:
        yield running


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_no_process_before_the_first_request_and_none_after_close(trained: TrainedStore) -> None:
    worker = InferenceWorker(str(trained.root))
    assert worker.process_id is None
    worker.close()
    with pytest.raises(InferenceError, match="shutting down"):
        worker.predict(STUDY, trained.bright.id, png(disc()))
    assert worker.process_id is None


def test_an_answer_holds_outline_mask_area_and_times(worker: InferenceWorker, trained: TrainedStore) -> None:
    frame = disc()
    answer = worker.predict(STUDY, trained.bright.id, png(frame))
    mask, outlined = pixels(answer.mask), pixels(answer.outlined)
    assert outlined.shape == (96, 128, 3)
    assert set(np.unique(mask)) == {0, 255}
    assert answer.area_pixels == (mask == 255).sum()
    assert abs(answer.area_pixels / (frame > 128).sum() - 1) < 0.1
    assert (answer.height, answer.width) == (96, 128)
    assert list(answer.milliseconds) == ["decode", "network", "draw"]
    assert answer.scaled_range is None


def test_a_process_killed_at_work_is_started_anew_and_the_request_answered(
    worker: InferenceWorker, trained: TrainedStore
) -> None:
    before = worker.predict(STUDY, trained.bright.id, png(disc()))
    first = worker.process_id
    assert first is not None
    os.kill(first, signal.SIGSTOP)  # it takes the request and cannot answer
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(worker.predict, STUDY, trained.bright.id, png(disc()))
        time.sleep(0.3)
        assert not answer.done()
        os.kill(first, signal.SIGKILL)
        assert answer.result(timeout=60).mask == before.mask
    assert worker.process_id not in (None, first)


def test_a_process_that_hangs_is_ended_and_the_next_request_answered(
    worker: InferenceWorker, trained: TrainedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.predict(STUDY, trained.bright.id, png(disc()))
    first = worker.process_id
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    with monkeypatch.context() as impatient:
        impatient.setattr(worker, "_timeout_seconds", 0.3)
        with pytest.raises(InferenceError, match="no answer within"):
            worker.predict(STUDY, trained.bright.id, png(disc()))
    assert not psutil.pid_exists(first)
    assert worker.predict(STUDY, trained.bright.id, png(disc())).area_pixels > 0


def test_a_process_that_takes_no_large_frame_is_ended_and_the_frame_answered(
    worker: InferenceWorker, trained: TrainedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = png(np.random.default_rng(0).integers(0, 256, (1500, 1500), np.uint8))
    assert len(large) > 2_000_000
    worker.predict(STUDY, trained.bright.id, png(disc()))
    first = worker.process_id
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    with monkeypatch.context() as impatient, ThreadPoolExecutor(1) as pool:
        impatient.setattr(worker, "_timeout_seconds", 0.5)
        asked = pool.submit(worker.predict, STUDY, trained.bright.id, large)
        time.sleep(0.2)
        impatient.setattr(worker, "_timeout_seconds", 60.0)
        assert (asked.result(timeout=60).height, worker.process_id == first) == (1500, False)
    assert not psutil.pid_exists(first)


def test_a_file_is_answered_where_it_lies(worker: InferenceWorker, trained: TrainedStore, tmp_path: Path) -> None:
    file = tmp_path / "frame.png"
    for radius in (10, 30):
        file.write_bytes(png(disc(radius=radius)))
        found = worker.predict(STUDY, trained.bright.id, file)
        assert found.mask == worker.predict(STUDY, trained.bright.id, file.read_bytes()).mask
    file.unlink()
    with pytest.raises(DataError, match=r"^this frame was deleted after an hour; drop it again$"):
        worker.predict(STUDY, trained.bright.id, file)
    beside = metaimage(np.zeros((1, 12, 16), np.uint8), named="pixels.raw")
    file.write_bytes(beside)
    (tmp_path / "pixels.raw").write_bytes(bytes(192))
    with pytest.raises(DataError, match="its pixels lie in another file"):
        worker.predict(STUDY, trained.bright.id, file)


def test_many_users_share_the_process(worker: InferenceWorker, trained: TrainedStore) -> None:
    frames = [png(disc(radius=radius)) for radius in (10, 20, 30)] * 4
    trials = [trained.bright.id, trained.dark.id, trained.scratch.id, trained.bright.id] * 3
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda pair: worker.predict(STUDY, *pair), zip(trials, frames, strict=True)))
    for trial, frame, answer in zip(trials, frames, answers, strict=True):
        assert answer.mask == worker.predict(STUDY, trial, frame).mask


def test_16_bit_frames_are_scaled_and_say_so(worker: InferenceWorker, trained: TrainedStore) -> None:
    answer = worker.predict(STUDY, trained.bright.id, png(disc().astype(np.uint16) * 16))
    assert answer.scaled_range == (320, 3680)
    assert answer.area_pixels > 0


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b"", "not a PNG"),
        (b"GIF89a nothing", "not a PNG"),
        (png(disc())[:300], "truncated or damaged"),
        (png(np.zeros((4001, 5000), np.uint8)), "5000 x 4001 pixels"),
    ],
)
def test_what_is_no_frame_is_said_in_one_line(
    worker: InferenceWorker, trained: TrainedStore, frame: bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        worker.predict(STUDY, trained.bright.id, frame)
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)


def test_a_network_whose_file_is_another_one_or_gone_answers_no_more(trained: TrainedStore, tmp_path: Path) -> None:
    root = tmp_path / "results"
    shutil.copytree(trained.root, root)
    weights = Store.at(root).trained_weights(STUDY, trained.scratch.id)
    with InferenceWorker(str(root), cache=tmp_path / "cache", threads=1) as worker:
        bright = worker.predict(STUDY, trained.scratch.id, png(disc()))
        turned = tmp_path / "turned"
        turned.write_bytes(save(brightness_network(darker=True)))
        turned.replace(weights)
        dark = worker.predict(STUDY, trained.scratch.id, png(disc()))
        assert (pixels(dark.mask) > 0).sum() == pixels(bright.mask).size - (pixels(bright.mask) > 0).sum()
        shutil.rmtree(root / STUDY)
        with pytest.raises(StoreError):
            worker.predict(STUDY, trained.scratch.id, png(disc()))


def test_an_unknown_trial_is_a_store_error_and_the_process_goes_on(
    worker: InferenceWorker, trained: TrainedStore
) -> None:
    before = worker.predict(STUDY, trained.bright.id, png(disc()))
    process = worker.process_id
    with pytest.raises(StoreError, match="no trial 'nonsense'"):
        worker.predict(STUDY, "nonsense", png(disc()))
    assert worker.predict(STUDY, trained.bright.id, png(disc())).mask == before.mask
    assert worker.process_id == process


def test_what_nobody_expected_is_said_in_one_line_and_the_process_goes_on(
    worker: InferenceWorker, trained: TrainedStore
) -> None:
    worker.predict(STUDY, trained.bright.id, png(disc()))
    process = worker.process_id
    request = Request(study=STUDY, trial_id=trained.bright.id, frame=b"")
    object.__setattr__(request, "frame", 7)  # past the check of types in this process
    with pytest.raises(WhichLayersError, match=r"^not answered \(\w+: [^\n]*\); its traceback stands in [^\n]*$"):
        worker.answer(request)
    assert worker.predict(STUDY, trained.bright.id, png(disc())).area_pixels > 0
    assert worker.process_id == process


def test_feature_maps_come_before_and_after_fine_tuning(worker: InferenceWorker, trained: TrainedStore) -> None:
    frame = disc(SIZE, SIZE, radius=9)
    before, after = worker.feature_maps(STUDY, trained.dark.id, "5a", frame)
    assert before.shape == after.shape == (16 * WIDTH, SIZE // 16, SIZE // 16)
    assert before.dtype == np.float32
    assert np.abs(before - after).max() > 0.01  # the whole network was trained
    before, after = worker.feature_maps(STUDY, trained.bright.id, "5a", frame)
    np.testing.assert_array_equal(before, after)  # only block 9 was
    assert worker.predict(STUDY, trained.bright.id, png(disc())).area_pixels > 0


def test_feature_maps_that_cannot_be_are_said_in_one_line_and_the_process_goes_on(
    worker: InferenceWorker, trained: TrainedStore
) -> None:
    frame = disc(SIZE, SIZE, radius=9)
    worker.predict(STUDY, trained.bright.id, png(disc()))
    process = worker.process_id
    with pytest.raises(StoreError, match="random weights"):
        worker.feature_maps(STUDY, trained.scratch.id, "1", frame)
    with pytest.raises(StrategyError, match="unknown unit '12'"):
        worker.feature_maps(STUDY, trained.dark.id, "12", frame)
    assert worker.process_id == process


def test_all_programs_of_a_server_share_one_worker_until_it_is_closed(trained: TrainedStore, tmp_path: Path) -> None:
    first = shared_worker(str(trained.root))
    assert shared_worker(str(trained.root)) is first
    assert shared_worker(str(tmp_path)) is not first
    assert first.process_id is None  # nothing starts before it is asked
    first.close()
    second = shared_worker(str(trained.root))
    assert second is not first
    assert not second.closed


def test_warming_returns_at_once_and_says_nothing_of_problems(worker: InferenceWorker, trained: TrainedStore) -> None:
    begun = time.monotonic()
    worker.warm(STUDY, trained.bright.id)
    worker.warm(STUDY, "nonsense")
    assert time.monotonic() - begun < 0.2
    assert worker.predict(STUDY, trained.bright.id, png(disc())).area_pixels > 0


def test_the_process_is_gone_with_a_killed_server_which_never_loads_torch(trained: TrainedStore) -> None:
    program = """
        import sys, time
        from dashboard.inference.worker import InferenceWorker
        if __name__ == "__main__":
            worker = InferenceWorker(sys.argv[1], threads=1)
            worker.predict(sys.argv[2], sys.argv[3], open(sys.argv[4], "rb").read())
            assert "torch" not in sys.modules
            print(worker.process_id, flush=True)
            time.sleep(60)
    """
    script = trained.root / "server.py"
    script.write_text(textwrap.dedent(program))
    frame = trained.root / "frame.png"
    frame.write_bytes(png(disc()))
    project = Path(__file__).resolve().parents[1]
    with subprocess.Popen(
        [sys.executable, str(script), str(trained.root), STUDY, trained.bright.id, str(frame)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(project)},
    ) as server:
        assert server.stdout is not None
        process = psutil.Process(int(server.stdout.readline()))
        server.kill()
    gone, alive = psutil.wait_procs([process], timeout=10)
    assert gone
    assert not alive
