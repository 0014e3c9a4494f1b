"""What is typed on the page Launch stays, whatever the browser still says of fields that were drawn before."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright import sync_api
from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.browser.test_search_pages import button, quiet, write
from tests.served import served

pytestmark = pytest.mark.browser

FILE = "name: typed\ndata: {kind: simulated, images: 20}\nfractions: [80]\n"
expect = sync_api.expect


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("launch form")
    with served(folder / "results", folder) as url:
        yield url


def fields(said: str | bytes) -> BackMsg | None:
    """What a part that renews itself asked for, with what the fields of the form said; else None."""
    message = BackMsg()
    if isinstance(said, bytes):
        message.ParseFromString(said)
    words = [one.id for one in message.rerun_script.widget_states.widgets]
    return message if message.rerun_script.fragment_id and any("form 0 name" in word for word in words) else None


def test_a_file_stays_though_the_browser_still_says_what_the_fields_before_it_said(
    page: sync_api.Page, address: str
) -> None:
    late: list[BackMsg] = []
    servers: list[sync_api.WebSocketRoute] = []

    def between(browser: sync_api.WebSocketRoute) -> None:
        server = browser.connect_to_server()
        servers.append(server)

        def ask(said: str | bytes) -> None:
            if found := fields(said):
                late.append(found)
            server.send(said)

        browser.on_message(ask)
        server.on_message(browser.send)

    page.route_web_socket(re.compile("_stcore/stream"), between)
    page.goto(f"{address}launch")
    button(page, "Launch").wait_for()
    quiet(page)
    while not late:
        page.wait_for_timeout(100)
    write(page, FILE)
    page.get_by_text("'typed': no mistake in the file.").wait_for()
    quiet(page)
    stale = BackMsg()
    stale.CopyFrom(late[-1])
    del stale.rerun_script.widget_states.widgets[:]
    stale.rerun_script.widget_states.widgets.extend(
        one for one in late[-1].rerun_script.widget_states.widgets if "form text" not in one.id
    )
    servers[-1].send(stale.SerializeToString())
    page.wait_for_timeout(1000)
    seeds = page.get_by_label("Seeds", exact=True)
    seeds.fill("7")
    seeds.press("Enter")
    text = page.get_by_label("Study file", exact=True).first  # the earlier one stands behind it for a moment
    expect(text).to_have_value(re.compile("seeds: .?7"))
    expect(text).to_have_value(re.compile("^name: typed\n.*images: 20", re.DOTALL))
    page.get_by_text("'typed': no mistake in the file.").wait_for()
