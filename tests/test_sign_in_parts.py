"""Passwords as they are kept, attempts as they are slowed down, cookies, and the file that says who may sign in."""

import asyncio
import stat
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse
from typer.testing import CliRunner

from dashboard.sign_in import SignIn, attempts, password_in, passwords
from dashboard.sign_in.attempts import ADDRESSES_KEPT, FREE, IN_ALL, IN_ALL_SECONDS, Attempts, network, wait_after
from dashboard.sign_in.passwords import hashed, is_hash, matches
from dashboard.sign_in.sessions import Sessions
from dashboard.sign_in.settings import SignInSettings, load, write_password
from engine.errors import WhichLayersError
from whichlayers.cli import app

PASSWORD = "three layers of frozen peas"
OIDC = {"issuer": "https://login.example", "client_id": "w", "client_secret": "s", "allowed": ["*@lab.example"]}


@pytest.fixture(scope="module")
def kept() -> str:
    return hashed(PASSWORD)


def test_a_password_is_kept_as_its_hash(kept: str) -> None:
    assert PASSWORD not in kept
    assert kept.startswith("scrypt:32768:8:3:")
    assert matches(PASSWORD, kept)
    assert not matches(PASSWORD + " ", kept)
    assert not matches("x" * 100_000, kept)
    assert hashed(PASSWORD) != kept, "each hash has a salt of its own"


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_a_password_too_short_or_long_is_refused(password: str) -> None:
    with pytest.raises(WhichLayersError, match="use 10 to 1024"):
        hashed(password)


@pytest.mark.parametrize("text", ["", "secret", "scrypt:1:2:3", "md5:1:1:1:YQ==:YQ==", "scrypt:99999999:8:1:YQ==:YQ=="])
def test_what_is_no_hash_is_seen(text: str) -> None:
    assert not is_hash(text)


def test_the_command_makes_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "sign-in.yaml"
    done = CliRunner().invoke(app, ["password", str(path)], input=PASSWORD + "\n")
    assert done.exit_code == 0
    assert f"serve --sign-in {path}" in done.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    settings = load(path)
    assert settings.password is not None
    assert matches(PASSWORD, settings.password)
    assert (settings.oidc, settings.hours) == (None, 12.0)


def test_a_new_password_leaves_the_other_keys(tmp_path: Path, kept: str) -> None:
    path = tmp_path / "sign-in.yaml"
    path.write_text(f"# who may come in\nhours: 2\npassword: {kept}\n")
    write_password(path, "another password")
    settings = load(path)
    assert settings.hours == 2
    assert settings.password not in (None, kept)
    assert "# who may come in" in path.read_text()


def test_every_mistake_of_the_file_is_a_line_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "sign-in.yaml"
    path.write_text("pasword: x\nhours: -1\noidc: {issuer: 'http://login.example', client: x, client_id: w}\n")
    with pytest.raises(WhichLayersError) as caught:
        load(path)
    lines = "\n".join(caught.value.problems)
    for part in (
        "unknown key 'pasword'; did you mean 'password'?", "'hours' is -1", "'oidc.client_secret' is missing",
        "unknown key 'oidc.client'", "begins with https://", "'oidc.allowed' is missing",
    ):  # fmt: skip
        assert part in lines
    assert all(line.startswith(str(path)) for line in caught.value.problems)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory; make it with: whichlayers password"),
        (b"", "neither 'password' nor 'oidc'"),
        (b"- a\n", "expected keys password, oidc, hours"),
        (b"a: [", "no YAML"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"password: in clear\n", "'password' is no hash"),
        (b"oidc: yes\n", "'oidc' has no keys"),
    ],
)
def test_a_file_that_says_nothing_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "sign-in.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WhichLayersError, match=message):
        load(path)


def test_attempts_wait_twice_as_long_after_each_that_failed() -> None:
    counted = Attempts()
    assert [counted.begin("10.0.0.1", 0.0) for _ in range(FREE)] == [0.0] * FREE
    assert counted.begin("10.0.0.1", 0.0) == 1.0
    assert counted.begin("10.0.0.2", 0.0) == 0.0, "another address"
    assert counted.begin("10.0.0.1", 1.0) == 0.0
    assert counted.begin("10.0.0.1", 1.5) == 1.5
    assert [wait_after(count) for count in (4, 5, 6, 10, 15, 10_000)] == [0, 1, 2, 32, 900, 900]


def test_a_right_password_and_an_hour_forget_what_failed() -> None:
    counted = Attempts()
    for _ in range(FREE):
        counted.begin("10.0.0.1", 0.0)
    counted.succeeded("10.0.0.1")
    assert counted.begin("10.0.0.1", 0.0) == 0.0
    for _ in range(FREE):
        counted.begin("10.0.0.3", 0.0)
    assert counted.begin("10.0.0.3", 3600.0) == 0.0


def test_many_addresses_together_are_slowed_down_too() -> None:
    counted = Attempts()
    assert [counted.begin(f"10.0.0.{n}", 0.0) for n in range(IN_ALL)] == [0.0] * IN_ALL
    assert counted.begin("10.0.1.1", 10.0) == IN_ALL_SECONDS - 10
    assert counted.begin("10.0.1.1", IN_ALL_SECONDS) == 0.0


def test_memory_does_not_grow_with_addresses() -> None:
    counted = Attempts()
    for n in range(ADDRESSES_KEPT + 50):
        counted.begin(f"address {n}", n * IN_ALL_SECONDS)
    assert len(counted._of) == ADDRESSES_KEPT
    assert len(counted._all) <= IN_ALL


def test_a_network_of_one_guesser_is_one_address() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network("::ffff:10.0.0.1") == network("10.0.0.1") != network("10.0.0.2")
    assert network("unix") == "unix"


@settings(max_examples=30)
@given(st.binary(max_size=60))
def test_no_cookie_that_was_not_made_here_is_read(content: bytes) -> None:
    assert Sessions(60.0).read(content.decode("latin-1")) is None


def test_a_cookie_is_read_until_its_time_or_its_end() -> None:
    sessions = Sessions(60.0)
    cookie, other = sessions.begin("a@lab.example"), sessions.begin("a@lab.example")
    found = sessions.read(cookie)
    assert found is not None
    assert found.who == "a@lab.example"
    assert abs(found.until - time.time() - 60) < 30
    sessions.end(cookie)
    assert sessions.read(cookie) is None
    assert sessions.read(other) is not None, "another browser of the same person"
    assert Sessions(-1.0).read(Sessions(-1.0).begin("x")) is None
    old = Sessions(-1.0)
    assert old.read(old.begin("x")) is None
    assert Sessions(60.0).read(other) is None, "another server's"


@pytest.mark.parametrize(
    ("header", "password"),
    [("Bearer a b", "a b"), ("bearer  x ", "x"), ("Basic dXNlcjpwYTpzcw==", "pa:ss"), ("Basic %", None), ("", None),
     ("Digest x", None), ("Basic //8=", None), ("Bearer pÃ¤ss", "päss"), ("Bearer päss", "päss")],
)  # fmt: skip
def test_passwords_are_read_from_headers(header: str, password: str | None) -> None:
    assert password_in(header) == password


def test_wrong_passwords_are_slowed_down_and_who_is_in_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "COST", 16)  # quick, so that
    monkeypatch.setattr(
        attempts, "wait_after", lambda failed: 0.0 if failed < FREE else 900.0
    )  # no wait ends meanwhile
    layer = SignIn(PlainTextResponse("in"), SignInSettings(password=hashed(PASSWORD), oidc=None, hours=1.0))

    async def ask() -> None:
        def client(address: str) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(layer, client=(address, 1))
            return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

        async with client("10.0.0.1") as guesser, client("10.0.0.2") as owner:
            assert (await owner.post("/sign-in", data={"password": PASSWORD})).status_code == 303
            guesses = await asyncio.gather(*(guesser.post("/sign-in", data={"password": f"{n}"}) for n in range(9)))
            assert sorted(told.status_code for told in guesses) == [401] * FREE + [429] * (9 - FREE)
            late = next(told for told in guesses if told.status_code == 429)
            assert int(late.headers["retry-after"]) >= 1
            assert "Too many attempts" in late.text
            header: dict[str, Any] = {"headers": {"Authorization": "Bearer another guess"}}
            assert (await guesser.get("/metrics", **header)).status_code == 429
            assert (await owner.get("/metrics")).text == "in"
            again = await guesser.post("/sign-in", data={"password": PASSWORD})
            assert again.status_code == 303, "the right one was just shown by somebody else: it costs no guess"

    asyncio.run(ask())
