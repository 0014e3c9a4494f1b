"""The reader page over HTTP: what it tells, whom it hears, and what is kept when the server is killed."""

import io
import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from dashboard import reader_page
from dashboard.origin import OwnPagesOnly
from dashboard.reader_page.desk import KEYS
from dashboard.reader_page.tabs import FORGET_SECONDS, Tabs
from engine import reader_study
from engine.datasets import Dataset
from engine.store import Store
from tests.made_readers import READER, STUDY, WORDS, made_animals, made_readers
from tests.reader_server import served

TAB, OTHER = "tab-of-one", "tab-of-another"
READER_ID = reader_study.reader_id("R1")
PLACE = f"/api/{STUDY}/readers/{READER_ID}"
STATE = {"name", "done", "frames", "current", "next", "last", "pace"}


@pytest.fixture(scope="module")
def animals() -> Dataset:
    return made_animals()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return made_readers(tmp_path / "results", tmp_path / "cache")


@pytest.fixture
def client(store: Store, tmp_path: Path) -> Iterator[TestClient]:
    program = OwnPagesOnly(reader_page.build(store.files.root, tmp_path / "cache"), ["testserver", "lab.example"])
    with TestClient(program, raise_server_exceptions=True) as made:
        yield made


def begin(client: TestClient, name: str = "R1", tab: str = TAB, **changes: Any) -> dict[str, Any]:
    """Begins a reader of fold 0, or what `changes` say."""
    said = client.post(f"/api/{STUDY}/begin", json={**READER, "name": name, "tab": tab, "fold": 0, **changes})
    assert said.status_code == 200, said.text
    found: dict[str, Any] = said.json()
    return found


def answer(client: TestClient, state: dict[str, Any], number: int = 0, tab: str = TAB, reader: str = READER_ID) -> Any:
    body = {"tab": tab, "token": state["current"], "number": number, "milliseconds": 1500.0}
    return client.post(f"/api/{STUDY}/readers/{reader}/answer", json=body)


def everything(client: TestClient) -> tuple[list[bytes], Dataset]:
    """All that a reader's browser ever gets who answers every frame, takes back and looks at labelled frames."""
    got: list[bytes] = []

    def hear(response: Any) -> Any:
        got.append(repr(response.headers.multi_items()).encode() + response.content)
        return response

    state = hear(client.get(f"/api/{STUDY}")).json()
    state = hear(client.post(f"/api/{STUDY}/begin", json={**READER, "tab": TAB, "fold": 0})).json()
    for number in range(7):
        page = hear(client.get(f"{PLACE}/labelled/{number}?page=0")).json()
        for token in page["tokens"][:1]:
            hear(client.get(f"{PLACE}/labelled/{token}.png"))
            hear(client.post(f"{PLACE}/looked", json={"tab": TAB, "tokens": [token], "large": True, "milliseconds": 9}))
    while state["current"]:
        hear(client.get(f"{PLACE}/frames/{state['current']}.png"))
        before, state = state, hear(answer(client, state)).json()
        if state["done"] % 5 == 0:
            hear(client.post(f"{PLACE}/undo", json={"tab": TAB, "token": before["current"]}))
            state = hear(answer(client, before)).json()
    return got, made_animals()


# What is told


def test_nothing_that_a_browser_gets_names_an_image_or_a_frames_class(client: TestClient) -> None:
    got, animals = everything(client)
    names = [str(name).encode() for column in ("image", "group") for name in animals.table[column]]
    assert [name for name in names if any(name in one for one in got)] == []
    said = [one for one in got if any(word.encode() in one for word in WORDS.values())]
    assert len(said) == 1  # the legend
    assert b"quokka" in said[0]


def test_a_state_has_these_fields_and_no_others(client: TestClient) -> None:
    state = begin(client)
    assert set(state) == STATE | {"reader", "feedback", "labelled"}
    after = answer(client, state, number=3).json()
    assert set(after) == STATE
    assert after["last"] == {"token": state["current"], "number": 3}
    assert after["current"] == state["next"][0]


def test_tokens_say_nothing_and_differ_between_readers(client: TestClient, store: Store) -> None:
    first, second = begin(client), begin(client, "R2", OTHER)
    tokens = [{state["current"], *state["next"]} for state in (first, second)]
    assert not tokens[0] & tokens[1]
    assert all(len(token) == 32 for token in tokens[0])
    for index in range(200):  # places in the data set, which is sorted by patient and class, are no keys to them
        assert not {f"{index:032x}", f"{index:032d}"} & tokens[0]


def test_the_class_is_told_after_the_answer_where_the_study_says_so(client: TestClient, store: Store) -> None:
    state = begin(client, feedback=True)
    assert "truth" not in state
    assert state["feedback"] is True
    for _ in range(5):
        state = answer(client, state).json()
        last = reader_study.answers(store, STUDY).iloc[-1]
        assert state["truth"] == sorted(WORDS.values()).index(last["label"])
    undone = client.post(f"{PLACE}/undo", json={"tab": TAB, "token": state["last"]["token"]})
    assert undone.status_code == 409
    assert undone.json()["problems"] == ["the class was shown after this answer, so it stands"]


def test_a_picture_holds_the_frame_in_its_proportions_and_nothing_else(
    client: TestClient, store: Store, animals: Dataset
) -> None:
    state = begin(client)
    picture = Image.open(io.BytesIO(client.get(f"{PLACE}/frames/{state['current']}.png").content))
    assert (picture.size, picture.mode, picture.info) == ((96, 64), "L", {})
    index = reader_study.continue_reader(store, STUDY, READER_ID, anew=False).reading().current
    shown = np.asarray(picture.resize((64, 64), Image.Resampling.BICUBIC)).astype(float)
    assert np.abs(shown - animals.images[index]).mean() < 8


def test_labelled_frames_come_by_class_a_page_at_a_time(client: TestClient, store: Store) -> None:
    state = begin(client)
    assert state["labelled"] == [12] * 7
    page = client.get(f"{PLACE}/labelled/2?page=7").json()
    assert (page["page"], page["pages"], page["count"], len(page["tokens"])) == (0, 1, 12, 12)
    assert client.get(f"{PLACE}/labelled/99").json()["tokens"] == []
    body = {"tab": TAB, "tokens": page["tokens"][:2], "large": False, "milliseconds": 1200}
    assert client.post(f"{PLACE}/looked", json=body).status_code == 200
    answer(client, state)
    assert reader_study.answers(store, STUDY).iloc[0]["labelled_seconds"] == 1.2
    body["tokens"] = [state["current"]]
    assert client.post(f"{PLACE}/looked", json=body).status_code == 409


def test_the_start_says_what_there_is(client: TestClient) -> None:
    told = client.get(f"/api/{STUDY}").json()
    assert [one["key"] for one in told["classes"]] == list("1234567")
    assert told["choices"] == [*({"fold": fold, "frames": 28} for fold in range(4)), {"fold": None, "frames": 112}]
    assert (told["readers"], told["kept"]) == ([], None)
    answer(client, begin(client))
    told = client.get(f"/api/{STUDY}").json()
    assert told["readers"] == [{"id": READER_ID, "name": "R1", "done": 1, "frames": 28}]
    assert told["kept"] == {"words": "28 frames of fold 0", "frames": 28}


# The page of the dashboard


def shown(store: Store, cache: Path, study: str | None, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The dashboard's page around it, after its script ran."""
    monkeypatch.setenv("WHICHLAYERS_STORE", store.files.root)
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(cache))
    test = AppTest.from_function(_page, default_timeout=60)
    test.session_state["current"] = study
    test.run()
    assert not test.exception, test.exception
    return test


def _page() -> None:
    from dashboard.views import reader_study

    reader_study.page()


def test_the_dashboards_page_shows_who_reads_and_no_truth(
    client: TestClient, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(client, begin(client))
    path = Path(store.files.path(f"{STUDY}/readers/{READER_ID}.jsonl"))
    with path.open("a") as file:
        file.write("half a li")
    test = shown(store, tmp_path / "cache", STUDY, monkeypatch)
    table = test.dataframe[0].value
    assert list(table["Reader"]) == ["R1"]
    assert list(table["Answered"]) == [1]
    assert "line 4 does not count" in test.warning[0].value
    said = f"{table.to_csv()} {[part.value for kind in (test.markdown, test.caption, test.warning) for part in kind]}"
    assert [word for word in (*WORDS.values(), "zq0", "wombat", "ccuracy") if word in said] == []


def test_without_a_study_the_dashboards_page_says_so(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No study yet" in shown(store, tmp_path / "cache", None, monkeypatch).info[0].value


# What is wrong


@pytest.mark.parametrize("study", ["nothing", ".leases", "a%2Fb", "%00", "readers"])
def test_a_study_that_is_not_there_is_one_line(client: TestClient, study: str) -> None:
    assert client.get(f"/api/{study}").status_code == 404
    assert client.get(f"/api/{study}/readers/{READER_ID}/labelled/0").status_code == 404


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"classes": []}, "'views' has no classes: readers classify frames"),
        ({"classes": [f"c{n}" for n in range(40)]}, f"40 classes; a key each is there for at most {len(KEYS)}"),
        ({"fingerprint": "0" * 64}, "not in the cache"),
    ],
)
def test_a_study_that_persons_cannot_read_is_said(tmp_path: Path, facts: dict[str, Any], said: str) -> None:
    data = {"name": "x", "fingerprint": made_animals().fingerprint, "classes": list(WORDS.values()), **facts}
    store = made_readers(tmp_path / "results", tmp_path / "cache", facts={"data": data})
    client = TestClient(reader_page.build(store.files.root, tmp_path / "cache"))
    told = client.get(f"/api/{STUDY}")
    assert told.status_code == 409
    assert said in told.json()["problems"][0]


def test_a_key_of_its_own_for_every_class_and_for_undo_and_labelled_frames() -> None:
    assert len(set(KEYS)) == len(KEYS) >= 30
    assert not set(KEYS) & set("ul ")


def test_answers_to_another_frame_bring_the_one_that_waits(client: TestClient) -> None:
    state = begin(client)
    answer(client, state)
    again = answer(client, state)  # sent twice, since no reply was heard
    assert again.json()["done"] == 1
    changed = answer(client, state, number=1)
    assert changed.status_code == 409
    assert changed.json()["state"]["done"] == 1
    assert answer(client, {"current": "0" * 32}).status_code == 422
    assert answer(client, again.json(), number=7).status_code == 422


def test_a_name_that_has_begun_is_not_begun_twice(client: TestClient) -> None:
    begin(client)
    said = client.post(f"/api/{STUDY}/begin", json={**READER, "name": " r1", "tab": OTHER, "fold": 0})
    assert said.status_code == 409
    assert "has begun already" in said.json()["problems"][0]


def test_what_is_missing_at_the_start_is_said(client: TestClient) -> None:
    said = client.post(f"/api/{STUDY}/begin", json={**READER, "exposure": "", "years": -1, "tab": TAB, "fold": 0})
    assert said.status_code == 409
    assert len(said.json()["problems"]) == 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "http://testserver"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://lab.example", "x-forwarded-host": "lab.example"}, 200),
        ({"origin": "https://evil.example", "x-forwarded-host": "evil.example"}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_only_our_own_page_is_heard(client: TestClient, headers: dict[str, str], status: int) -> None:
    state = begin(client)
    body = json.dumps({"tab": TAB, "token": state["current"], "number": 0, "milliseconds": 1.0})
    said = client.post(f"{PLACE}/answer", content=body, headers={"content-type": "application/json", **headers})
    assert said.status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b"[" * 30_000, 422),
        (b"[]", 422),
        (json.dumps({"tab": TAB, "token": "x", "number": 0, "milliseconds": -1}).encode(), 422),
        (b'{"tab":"tab-of-one","token":"x","number":0,"milliseconds":NaN}', 422),
        (json.dumps({"tab": TAB, "token": "x", "number": "0", "milliseconds": 1}).encode(), 422),
        (json.dumps({"tab": TAB, "token": "x", "number": 0, "milliseconds": 1, "label": "okapi"}).encode(), 422),
        (json.dumps({"tab": "", "token": "x", "number": 0, "milliseconds": 1}).encode(), 422),
        (b" " * 40_000, 413),
    ],
)
def test_a_request_of_another_form_is_refused(client: TestClient, body: bytes, status: int) -> None:
    begin(client)
    said = client.post(f"{PLACE}/answer", content=body, headers={"content-type": "application/json"})
    assert said.status_code == status
    assert said.json()["problems"]


def test_no_page_of_another_host_shows_or_reads_it(client: TestClient) -> None:
    state = begin(client)
    for path in ("/", "/page.js", f"/api/{STUDY}", f"{PLACE}/frames/{state['current']}.png"):
        headers = client.get(path).headers
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers


def test_other_files_and_frames_are_not_served(client: TestClient) -> None:
    begin(client)
    for path in ("/desk.py", "/../pages.py", f"{PLACE}/frames/{'0' * 32}.png", f"{PLACE}/other/{'0' * 32}.png"):
        assert client.get(path).status_code == 404


# Tabs


def test_a_second_tab_of_a_reader_is_told_and_can_take_over(client: TestClient) -> None:
    state = begin(client)
    second = {"reader": READER_ID, "tab": OTHER}
    said = client.post(f"/api/{STUDY}/begin", json=second)
    assert said.status_code == 409
    assert said.json()["taken"] is True
    assert answer(client, state, tab=OTHER).json()["taken"] is True
    assert answer(client, state).status_code == 200
    state = client.post(f"/api/{STUDY}/begin", json={**second, "take": True}).json()
    assert answer(client, state).json()["taken"] is True
    assert answer(client, state, tab=OTHER).json()["done"] == 2
    client.post(f"{PLACE}/alive", json={"tab": OTHER, "leaving": True})
    assert answer(client, state, tab=TAB).json()["done"] == 2  # the same answer again: kept once


def test_a_tab_that_was_not_heard_of_for_long_is_forgotten() -> None:
    now = [0.0]
    tabs, key = Tabs(lambda: now[0]), ("study", "reader")
    assert tabs.hold(key, "a")
    now[0] = FORGET_SECONDS - 1
    assert not tabs.hold(key, "b")
    assert tabs.hold(key, "a")
    now[0] += FORGET_SECONDS + 1
    assert tabs.hold(key, "b")
    assert not tabs.hold(key, "a")
    tabs.leave(key, "a")
    assert not tabs.hold(key, "a")


# What is kept


def test_several_readers_at_once_are_kept_apart(client: TestClient, store: Store) -> None:
    names = [f"R{number}" for number in range(4)]
    begun = [begin(client, name, tab=f"tab of {name}") for name in names]

    def read(state: dict[str, Any]) -> None:
        reader, tab = state["reader"], f"tab of {state['name']}"
        while state["current"]:
            state = answer(client, state, reader=reader, number=state["done"] % 7, tab=tab).json()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, begun))
    told = reader_study.summary(store, STUDY)
    assert sorted(told["reader"]) == names
    assert list(told["answered"]) == [28] * 4


def test_a_reader_goes_on_another_day_and_after_the_server_was_started_again(
    client: TestClient, store: Store, tmp_path: Path
) -> None:
    state = answer(client, begin(client)).json()
    restarted = TestClient(reader_page.build(store.files.root, tmp_path / "cache"))
    state = answer(restarted, state).json()  # the open page notices nothing
    assert state["done"] == 2
    another_day = restarted.post(f"/api/{STUDY}/begin", json={"reader": READER_ID, "tab": TAB}).json()
    assert another_day["current"] == state["current"]
    assert reader_study.summary(store, STUDY).iloc[0]["sittings"] == 2


def post(address: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{address}api/{STUDY}{path}", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        found: dict[str, Any] = json.load(reply)
        return found


def test_a_server_that_is_killed_loses_no_answer_that_it_confirmed(
    client: TestClient, store: Store, tmp_path: Path
) -> None:
    confirmed: list[int] = []
    with served(Path(store.files.root), tmp_path / "cache") as server:
        state = post(server.address, "/begin", {**READER, "tab": TAB, "fold": 0})
        try:
            while state["current"]:
                number = state["done"] % 7
                body = {"tab": TAB, "token": state["current"], "number": number, "milliseconds": 10.0}
                if state["done"] == 11:  # in the middle of an answer
                    ThreadPoolExecutor(1).submit(os.kill, server.process.pid, signal.SIGKILL)
                state = post(server.address, f"/readers/{READER_ID}/answer", body)
                confirmed.append(number)
        except (OSError, ValueError):
            pass
    assert 11 <= len(confirmed) < 28
    classes = sorted(WORDS.values())
    told = reader_study.answers(store, STUDY)
    assert [classes.index(name) for name in told["predicted"]][: len(confirmed)] == confirmed
    assert len(told) - len(confirmed) in (0, 1)  # written, and the reply cut off: the page sends it again
    assert begin(client, reader=READER_ID)["done"] == len(told)
