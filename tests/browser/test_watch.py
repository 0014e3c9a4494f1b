"""The guard of all pages can fail, and a missing browser is not overlooked where tests run by themselves."""

import shutil

import pytest
from playwright import sync_api

from tests.browser.conftest import chromium, watched


@pytest.mark.browser
def test_the_watch_can_fail(browser: sync_api.Browser) -> None:
    page = browser.new_page()
    wrong = watched(page)
    page.set_content(
        "<img src='http://example.invalid/a.png'><script>console.error('made'); throw Error('made')</script>"
    )
    page.wait_for_timeout(300)
    page.close()
    assert any(line.startswith("outside request") for line in wrong)
    assert any(line.startswith("console: made") for line in wrong)
    assert any(line.startswith("page error") for line in wrong)


def test_without_a_browser_tests_are_skipped_here_and_fail_on_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no chromium"):
        chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no chromium"):
        chromium()
