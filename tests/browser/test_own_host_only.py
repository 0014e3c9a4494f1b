"""No page asks another host for anything, and neither does the server: every page opened in a browser, signed in."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright import sync_api

from dashboard.pages import ONLY, PAGES
from dashboard.sign_in.settings import write_password
from tests.made_store import made_store
from tests.served import served
from tests.trained_store import STUDY, disc, make_trained_store, png

pytestmark = pytest.mark.browser
PASSWORD = "three layers of frozen peas"
SHOWN = [address for address in PAGES if ONLY.get(address) != "classification"]


@dataclass(frozen=True, kw_only=True)
class Locked:
    """A server that wants the password, and what it asked others."""

    url: str
    asked: Path


def address_of_this_machine() -> str:
    """One that others reach it by, where there is one: browsers tell less of themselves to it than to loopback."""
    found = [one.address for many in psutil.net_if_addrs().values() for one in many if one.family == socket.AF_INET]
    return next((address for address in found if not address.startswith("127.")), "127.0.0.1")


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    folder = tmp_path_factory.mktemp("own")
    made_store(folder / "results", folder / "cache")
    make_trained_store(folder / "results")
    write_password(folder / "sign-in.yaml", PASSWORD)
    asked = folder / "asked"
    everywhere = {"host": "0.0.0.0", "sign_in": folder / "sign-in.yaml"}
    with served(folder / "results", folder / "cache", asked=asked, **everywhere) as url:
        yield Locked(url=url.replace("127.0.0.1", address_of_this_machine()), asked=asked)


@pytest.fixture
def context(browser: sync_api.Browser) -> Iterator[tuple[sync_api.BrowserContext, list[str]]]:
    """One user's browser, and the hosts that it asks, of pages, frames, workers and websockets."""
    hosts: list[str] = []
    opened = browser.new_context(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(120_000)  # a busy machine draws slowly
    opened.on("request", lambda request: hosts.append(urlsplit(request.url).netloc))
    opened.on("page", lambda page: page.on("websocket", lambda stream: hosts.append(urlsplit(stream.url).netloc)))
    yield opened, hosts
    opened.close()


def signed_in(context: sync_api.BrowserContext, url: str) -> sync_api.Page:
    """A page at the address, which asked for the password first."""
    page = context.new_page()
    page.goto(url)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_label("Password").wait_for(state="detached")
    return page


def asked_by_server(locked: Locked) -> list[str]:
    """What it looked up or connected to, loopback and local sockets apart."""
    lines = locked.asked.read_text().splitlines() if locked.asked.exists() else []
    own = ("127.0.0.1", "0.0.0.0", "localhost", "::1", "socket.connect /", "socket.connect b'", "None")
    return [line for line in lines if not any(name in line for name in own)]


def test_the_page_to_sign_in_leads_to_the_page_that_was_asked_for_and_out_again(
    locked: Locked, context: tuple[sync_api.BrowserContext, list[str]]
) -> None:
    page = context[0].new_page()
    page.goto(f"{locked.url}strategies")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("This is not the password.").wait_for()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Strategies").wait_for()
    other = context[0].new_page()
    other.goto(f"{locked.url}strategies")
    other.get_by_role("link", name="Sign out").click()
    other.get_by_role("button", name="Sign out").click()
    other.get_by_label("Password").wait_for()
    page.reload()
    page.get_by_label("Password").wait_for()  # the other window is signed out as well
    page.close()
    other.close()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_page_asks_its_own_host_alone(locked: Locked, context: tuple[sync_api.BrowserContext, list[str]]) -> None:
    opened, hosts = context
    page = signed_in(opened, locked.url)
    page.get_by_role("heading").first.wait_for()
    for address in SHOWN:
        before = len(hosts)
        page.goto(f"{locked.url}{address}?study={STUDY}")
        page.get_by_role("heading", name=PAGES[address][1]).or_(page.get_by_role("heading")).first.wait_for()
        page.wait_for_timeout(500)  # what a page asks for late is heard with the next one
        assert len(hosts) > before, address
    assert set(hosts) == {urlsplit(locked.url).netloc}
    assert asked_by_server(locked) == []


def test_live_and_the_reader_page_ask_their_own_host_alone(
    locked: Locked, context: tuple[sync_api.BrowserContext, list[str]]
) -> None:
    opened, hosts = context
    page = signed_in(opened, f"{locked.url}inference/?study={STUDY}")
    frame = {"name": "frame.png", "mimeType": "image/png", "buffer": png(disc())}
    with page.expect_response(lambda answer: "/gradio_api/upload" in answer.url, timeout=120_000) as uploaded:
        page.locator("#frame input[type=file]").first.set_input_files([frame])
    assert uploaded.value.ok
    page.goto(f"{locked.url}reader/?study={STUDY}")
    page.wait_for_load_state("networkidle")
    assert set(hosts) == {urlsplit(locked.url).netloc}
    assert asked_by_server(locked) == []


def test_another_host_would_be_heard(locked: Locked, context: tuple[sync_api.BrowserContext, list[str]]) -> None:
    opened, hosts = context
    page = opened.new_page()
    page.goto(f"{locked.url}sign-in")
    with pytest.raises(sync_api.Error):
        page.goto("http://outside.invalid/")
    assert "outside.invalid" in hosts
    with locked.asked.open("a") as file:
        file.write("socket.getaddrinfo outside.invalid\n")
    assert asked_by_server(locked) == ["socket.getaddrinfo outside.invalid"]
