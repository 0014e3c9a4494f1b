"""What a request may bring, and what is kept of what it brought."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from dashboard import kept_uploads, limits
from dashboard.kept_uploads import forget_deleted, has_room, sweep
from dashboard.limits import BodyLimits, Limit

HOUR = 3600.0
LIMITS = (Limit(path="/small", most_bytes=100), Limit(path="", most_bytes=1000))


class Asked:
    """A request to a program that reads all of it, and what came of that."""

    def __init__(
        self, pieces: list[bytes], *, path: str = "/small/x", method: str = "POST", length: object = None
    ) -> None:
        self.read = 0
        self.told: list[Message] = []
        self._pieces = list(pieces)
        headers = [] if length is None else [(b"content-length", str(length).encode())]
        self.scope: Scope = {"type": "http", "method": method, "path": path, "headers": headers}

    async def behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request":
            self.read += len(message["body"])
            if not message["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive(self) -> Message:
        piece = self._pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self._pieces)}

    async def send(self, message: Message) -> None:
        self.told.append(message)

    def answer(self, given: tuple[Limit, ...] = LIMITS, program: Any = None) -> int:
        """Status of the answer."""
        asyncio.run(BodyLimits(program or self.behind, given)(self.scope, self.receive, self.send))
        starts = [message["status"] for message in self.told if message["type"] == "http.response.start"]
        assert len(starts) == 1
        return int(starts[0])


def at_once(given: Limit, bodies: list[int]) -> list[int]:
    """Statuses of requests that bring so many bytes each, all of them before any is answered."""
    every = [Asked([b"x" * size], length=size) for size in bodies]

    async def run() -> None:
        going = asyncio.Event()

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await going.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        program = BodyLimits(slow, (given,))
        running = [asyncio.create_task(program(one.scope, one.receive, one.send)) for one in every]
        await asyncio.sleep(0.2)
        going.set()
        await asyncio.gather(*running)
        again = Asked([b"x" * bodies[0]], length=bodies[0])
        await program(again.scope, again.receive, again.send)
        every.append(again)

    asyncio.run(run())
    return [one.told[0]["status"] for one in every]


def test_what_comes_at_the_same_moment_is_counted_together() -> None:
    assert at_once(Limit(path="", most_bytes=100, most_at_once=150), [100, 60, 50]) == [200, 503, 200, 200]
    asked: list[int] = []

    def refusal(expected: int) -> str:
        asked.append(expected)
        return "full" if expected > 150 else ""

    statuses = at_once(Limit(path="", most_bytes=100, refusal=refusal), [90, 80])
    assert statuses.count(507) >= 1
    assert statuses[-1] == 200
    assert max(asked) == 170


def test_bodies_within_their_limit_pass_whole() -> None:
    asked = Asked([b"x" * 60, b"x" * 40], length=100)
    assert (asked.answer(), asked.read) == (200, 100)
    assert Asked([b"x" * 101], path="/large").answer() == 200
    assert Asked([b""], method="GET", length=10**9).answer() == 200


@pytest.mark.parametrize("length", [101, 10**15])
def test_a_body_that_says_it_is_too_long_is_refused_unread(length: int) -> None:
    asked = Asked([b"x"], length=length)
    assert (asked.answer(), asked.read) == (413, 0)


@pytest.mark.parametrize("length", [None, 5, "-1", "x", "1e3", "9" * 30])
def test_a_body_that_hides_its_length_is_cut_where_the_limit_is(length: object) -> None:
    asked = Asked([b"x" * 50] * 1000, length=length)
    assert asked.answer() == 413
    assert asked.read <= 100


def test_a_program_that_answers_for_itself_cannot_hide_it() -> None:
    asked = Asked([b"x" * 101])

    async def suspicious(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await receive()
        except Exception:
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"traceback"})

    assert asked.answer(program=suspicious) == 413
    assert b"traceback" not in b"".join(message.get("body", b"") for message in asked.told)


def test_where_there_is_no_room_nothing_is_read() -> None:
    heard: list[int] = []

    def refusal(expected: int) -> str:
        heard.append(expected)
        return "no room"

    full = (Limit(path="", most_bytes=100, refusal=refusal),)
    asked = Asked([b"x" * 10], length=10)
    assert (asked.answer(full), asked.read) == (507, 0)
    assert Asked([b"x" * 10]).answer(full) == 507
    assert heard == [10, 100], "what is not said is expected to be the most"
    assert Asked([b"x"]).answer((Limit(path="", most_bytes=100, refusal=lambda expected: ""),)) == 200


def test_the_servers_parts_have_limits_and_the_rest_has_one() -> None:
    parts = limits.of_server("/layers")
    assert parts[-1].path == ""
    assert all(one.path.startswith("/layers/") for one in parts[:-1])
    assert max(one.most_bytes for one in parts) <= 256 * 2**20


def test_a_full_disk_and_full_storage_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WHICHLAYERS_CACHE", str(tmp_path / "not there yet"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "live"))
    frames, files = limits.of_server("")[1], limits.of_server("")[0]
    assert frames.refusal is not None
    assert files.refusal is not None
    assert (frames.refusal(10), files.refusal(10)) == ("", "")
    monkeypatch.setattr(kept_uploads, "MOST_BYTES", 5)
    assert "Frames of the last minute" in frames.refusal(10)
    monkeypatch.setattr(limits, "UPLOADS_IN_MEMORY", 5)
    assert "Others' uploads" in files.refusal(10)
    monkeypatch.setattr(kept_uploads, "LEAST_FREE_BYTES", 2**62)
    assert not has_room(tmp_path)
    assert "disk is nearly full" in frames.refusal(1)
    assert "disk is nearly full" in files.refusal(1)


def keep(folder: Path, name: str, *, seconds: float, size: int = 100) -> Path:
    """A kept file of that age, in a folder of its own."""
    path = folder / name / "frame.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(size))
    changed = time.time() - seconds
    os.utime(path, (changed, changed))
    return path


def test_old_files_go_and_so_do_their_folders(tmp_path: Path) -> None:
    old, new = keep(tmp_path, "old", seconds=2 * HOUR), keep(tmp_path, "new", seconds=60)
    broken_off = tmp_path / "tmp1234"
    broken_off.write_bytes(b"an upload that broke off")
    os.utime(broken_off, (0, 0))
    assert sweep(tmp_path, older_than_seconds=HOUR) == 100
    assert not old.parent.exists()
    assert not broken_off.exists()
    assert new.exists()


def test_the_oldest_go_first_where_there_is_too_much_and_the_newest_stay(tmp_path: Path) -> None:
    files = [keep(tmp_path, f"{minutes}", seconds=60.0 * minutes + 30) for minutes in range(10)]
    assert sweep(tmp_path, older_than_seconds=HOUR, most_bytes=350) == 300
    assert [path.exists() for path in files] == [True] * 3 + [False] * 7
    assert sweep(tmp_path, older_than_seconds=HOUR, most_bytes=0) == 100, "files of the last minute are looked at"


def test_links_are_deleted_and_not_followed(tmp_path: Path) -> None:
    outside = keep(tmp_path / "outside", "old", seconds=2 * HOUR)
    folder = tmp_path / "live"
    folder.mkdir()
    (folder / "file").symlink_to(outside)
    (folder / "folder").symlink_to(outside.parent)
    sweep(folder, older_than_seconds=-1.0)
    assert outside.exists()
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert sweep(tmp_path / "none", older_than_seconds=HOUR) == 0


def test_the_names_of_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    there, gone = tmp_path / "there", tmp_path / "gone"
    there.touch()
    names = [{str(there), str(gone)}, {str(gone)}, set[str]()]
    forget_deleted(names)
    assert names == [{str(there)}, set(), set()]


SESSIONS_COME = """
import sys
from pathlib import Path
from dashboard.live import program
page, made = program.page, []
program.page = lambda *given, **options: made.append(page(*given, **options)) or made[0]
program.build(sys.argv[1], Path(sys.argv[1]))
known = made[0].state_holder
for number in range(program.SESSIONS + 20):
    known[f"call {number}"]
print(len(known.session_data) == len(known.time_last_used) == program.SESSIONS)
"""


def test_gradio_remembers_no_more_sessions_than_it_should(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SESSIONS_COME, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=200).stdout.endswith("True\n")
