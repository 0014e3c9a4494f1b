"""The guard of all pages can fail, and a missing browser is not overlooked where tests run by themselves."""

import shutil
from pathlib import Path

import pytest
from playwright import sync_api

from tests.browser.conftest import BROKEN, chromium, watched
from tests.live_server import served


@pytest.mark.browser
def test_the_watch_can_fail(browser: sync_api.Browser) -> None:
    page = browser.new_page()
    wrong = watched(page)
    page.set_content(
        "<img src='http://example.invalid/a.png'><script>console.error('made'); throw Error('made')</script>"
    )
    page.wait_for_timeout(300)
    assert page.evaluate(BROKEN) == ["http://example.invalid/a.png"]
    page.close()
    assert any(line.startswith("outside request") for line in wrong)
    assert any(line.startswith("console: made") for line in wrong)
    assert any(line.startswith("page error") for line in wrong)


@pytest.mark.browser
def test_the_watch_hears_of_a_server_that_is_gone(browser: sync_api.Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    with served(tmp_path / "results", tmp_path) as server:
        wrong = watched(page)
        page.goto(f"{server.address}/")
        page.get_by_text("For research, not for diagnosis.").first.wait_for()
        assert wrong == []
    page.wait_for_event("console", lambda message: "ERR_CONNECTION_REFUSED" in message.text, timeout=30_000)
    page.close()
    assert any("ERR_CONNECTION_REFUSED" in line for line in wrong)


def test_without_a_browser_tests_are_skipped_here_and_fail_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no chromium"):
        chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no chromium"):
        chromium()
