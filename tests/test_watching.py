"""What the server says of itself: figures, logs, readiness."""

import io
import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from dashboard import gauges, logs, watching
from dashboard.gauges import timed
from dashboard.logs import JsonLines, gather, to_json
from dashboard.observed import Observed
from dashboard.study_gauges import TrialsAndSessions, text
from engine.store import Store
from tests.made_store import made_store


def figure(name: str, **labels: str) -> float:
    """What a figure is now; 0 where nothing was counted."""
    return gauges.REGISTRY.get_sample_value(name, labels) or 0.0


def test_requests_are_counted_by_part_and_status_and_by_nothing_that_grows() -> None:
    routes = [Route("/layers/{path:path}", lambda request: PlainTextResponse("x", 404))]
    client = TestClient(Observed(Starlette(routes=routes), "/layers"), base_url="http://here/layers/")
    before = {
        part: figure("whichlayers_requests_total", part=part, status="404") for part in ("pages", "live", "reader")
    }
    for path in ("inference/gradio_api/file=secret", "reader/x", "whatever/is/asked", "media/../../x", "healthz"):
        client.get(path)
    for part, count in before.items():
        assert figure("whichlayers_requests_total", part=part, status="404") > count
    metrics = [metric for metric in gauges.REGISTRY.collect() if "request" in metric.name]
    assert {sample.labels["part"] for metric in metrics for sample in metric.samples} <= {
        "pages", "live", "reader", "pictures", "exports", "sign-in", "health",
    }  # fmt: skip


def test_asking_the_inference_process_is_timed_and_what_got_no_answer_is_counted() -> None:
    @timed(ConnectionError)
    def ask(problem: Exception | None) -> int:
        assert figure("whichlayers_inference_waiting") == 1
        if problem:
            raise problem
        return 7

    count, refused = figure("whichlayers_inference_seconds_count"), figure("whichlayers_inference_refused_total")
    assert ask(None) == 7
    with pytest.raises(ValueError, match="a bad frame"):
        ask(ValueError("a bad frame"))
    with pytest.raises(ConnectionError):
        ask(ConnectionError())
    assert figure("whichlayers_inference_seconds_count") == count + 3
    assert figure("whichlayers_inference_refused_total") == refused + 1
    assert figure("whichlayers_inference_waiting") == 0


def test_trials_are_told_by_study_and_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(tmp_path / "results"))
    made_store(tmp_path / "results", tmp_path / "cache", finished=lambda place, trial: place < 20)
    found = TrialsAndSessions()
    told = text(found).decode()
    assert 'whichlayers_trials{state="completed",study="made"} 20.0' in told
    assert 'whichlayers_trials{state="waiting",study="made"} 8.0' in told
    assert 'whichlayers_trials{state="error",study="made"} 0.0' in told
    assert "whichlayers_sessions 0.0" in told
    (tmp_path / "results" / "made" / "plan.parquet").write_bytes(b"damaged")
    told = text(found).decode()
    assert "whichlayers_trials{" not in told
    assert "process_resident_memory_bytes" in told, "a damaged study leaves the rest"


def test_a_store_that_cannot_be_read_is_not_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHICHLAYERS_STORE", str(tmp_path / "results"))
    assert watching.readiness() == {"store": True, "inference": True}

    def refuse(store: Store, *, archived: bool = False) -> list[str]:
        raise PermissionError("made")

    monkeypatch.setattr(Store, "studies", refuse)
    told = TestClient(Starlette(routes=watching.routes("/layers"))).get("/layers/readyz")
    assert (told.status_code, told.json()) == (503, {"store": False, "inference": True})


def test_many_who_ask_whether_it_is_ready_cost_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(watching, "readiness", lambda: looks.append(1) or {"store": len(looks) == 1})
    with TestClient(Starlette(routes=watching.routes())) as client:
        assert [client.get("/readyz").status_code for _ in range(5)] == [200] * 5
        assert len(looks) == 1
        monkeypatch.setattr(watching, "READY_SECONDS", -1.0)
        assert client.get("/readyz").status_code == 503


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged as JSON; loggers are put back afterwards."""
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", stream)
    to_json()
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    logging.captureWarnings(False)


def test_logs_are_lines_of_json_whatever_is_in_them(written: io.StringIO) -> None:
    logging.getLogger("whichlayers.requests").info(
        "%s\n%s", "GET", 'a "b" ü', extra={"facts": {"status": 200, "path": Path("x")}}
    )
    try:
        raise ValueError("made\nfor this")
    except ValueError:
        logging.getLogger("other").exception("it broke")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("careful", stacklevel=1)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["level"] for line in lines] == ["info", "error", "warning"]
    assert (lines[0]["message"], lines[0]["status"], lines[0]["path"]) == ('GET\na "b" ü', 200, "x")
    assert "ValueError: made" in lines[1]["traceback"]
    assert lines[2]["logger"] == "py.warnings"
    assert all(line["time"].endswith("+00:00") for line in lines)


def test_loggers_with_handlers_of_their_own_speak_json_too(written: io.StringIO) -> None:
    own = logging.getLogger("streamlit.made_for_this")
    own.propagate = False
    own.addHandler(logging.StreamHandler(io.StringIO()))
    gather()
    own.warning("heard")
    assert json.loads(written.getvalue())["message"] == "heard"


def test_a_record_without_facts_is_a_line_too() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "plain", None, None)
    assert json.loads(JsonLines().format(record))["message"] == "plain"
    assert logs.FORMATS == ("text", "json")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/layers/", "/layers/"),
        ("/layers/results", "/layers/results"),
        ("/layers/reader/api/study/readers/anna", "/layers/reader/api/…"),
        ("/layers/inference/gradio_api/file=/tmp/frames/doe.png", "/layers/inference/gradio_api/file/…"),
        ("/layers/inference/gradio_api/file=doe.png", "/layers/inference/gradio_api/file"),
        ("/layers/exports/secret/study.zip", "/layers/exports/…"),
        ("/layers/media/abc.png", "/layers/media/…"),
    ],
)
def test_a_logged_path_names_a_part_of_the_server_alone(path: str, told: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "whichlayers.requests"):
        TestClient(Observed(Starlette(), "/layers"), base_url="http://here").get(path)
    assert caplog.messages == [f"GET {told}"]
