"""Signing in at an OpenID Connect provider: a real one on this machine, asked over HTTP, and one that lies."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from dashboard.sign_in import WHO, SignIn
from dashboard.sign_in.provider import SignInAt, is_allowed, names_of
from dashboard.sign_in.settings import Provider as Settings
from dashboard.sign_in.settings import SignInSettings
from tests import made_provider
from tests.made_provider import provided


@pytest.fixture(scope="module")
def running() -> Iterator[made_provider.Provider]:
    with provided() as provider:
        yield provider


@pytest.fixture
def provider(running: made_provider.Provider) -> made_provider.Provider:
    running.claims = {"email": "Ann@lab.example", "email_verified": True}
    running.lies, running.signs_with = {}, None
    running.asked.clear()
    return running


async def who(scope: Scope, receive: Receive, send: Send) -> None:
    """The program behind the sign-in: says who came."""
    await PlainTextResponse(f"{scope.get(WHO)} at {scope['path']}")(scope, receive, send)


def sign_in(
    provider: made_provider.Provider,
    to: str = "/layers/images",
    allowed: tuple[str, ...] = ("*@lab.example",),
    break_way: Any = None,
) -> tuple[int, str, list[str]]:
    """Status and text of what a browser sees in the end, and the paths on its way."""
    oidc = Settings(
        issuer=provider.issuer, client_id=made_provider.CLIENT, client_secret=made_provider.SECRET, allowed=allowed
    )
    layer = SignIn(who, SignInSettings(password=None, oidc=oidc, hours=1.0), "/layers")

    async def go() -> tuple[int, str, list[str]]:
        inside = httpx.AsyncClient(transport=httpx.ASGITransport(layer), base_url="http://us.example")
        outside = httpx.AsyncClient()
        way = []
        async with inside, outside:
            told = await inside.get(to, headers={"accept": "text/html"})
            while told.is_redirect or (told.status_code == 200 and 'class="button"' in told.text):
                target = told.headers.get("location") or told.text.split('class="button" href="')[1].split('"')[0]
                if break_way:
                    target = break_way(target.replace("&amp;", "&"), inside)
                url = told.url.join(target)
                way.append(url.path)
                told = await (outside if url.host == "127.0.0.1" else inside).get(url, headers={"accept": "text/html"})
            return told.status_code, told.text, way

    return asyncio.run(go())


def test_a_browser_goes_there_and_comes_back_signed_in(provider: made_provider.Provider) -> None:
    status, text, way = sign_in(provider)
    assert (status, text) == (200, "ann@lab.example at /layers/images")
    assert way == [
        "/layers/sign-in",
        "/layers/sign-in/provider",
        "/realm/authorize",
        "/layers/sign-in/back",
        "/layers/images",
    ]


def test_nothing_is_asked_of_the_provider_before_somebody_signs_in(provider: made_provider.Provider) -> None:
    sign_in(provider, break_way=lambda target, client: "/layers/readyz" if target.endswith("images") else target)
    assert provider.asked == []


@pytest.mark.parametrize(
    ("claims", "allowed"),
    [
        ({"email": "eve@evil.example", "email_verified": True}, ("*@lab.example",)),
        ({"email": "ann@lab.example", "email_verified": False}, ("*@lab.example",)),
        ({"email": "ann@lab.example"}, ("*@lab.example",)),
        ({"email": "ann@lab.example", "email_verified": "false"}, ("*@lab.example",)),
        ({}, ("someone-else",)),
        ({"email": "ann@lab.example.evil.example", "email_verified": True}, ("*@lab.example",)),
    ],
)
def test_whom_the_settings_do_not_name_stays_outside(
    provider: made_provider.Provider, claims: dict[str, Any], allowed: tuple[str, ...]
) -> None:
    provider.claims = claims
    status, text, _ = sign_in(provider, allowed=allowed)
    assert status == 403
    assert "may not sign in here" in text


def test_a_subject_may_be_named(provider: made_provider.Provider) -> None:
    provider.claims = {}
    assert sign_in(provider, allowed=("subject-1",))[1] == "subject-1 at /layers/images"


@pytest.mark.parametrize(
    "lie",
    [{"aud": "another client"}, {"iss": "https://evil.example"}, {"nonce": "another"}, {"exp": 1000}, {"issuer": "x"}],
    ids=str,
)
def test_a_token_for_others_or_of_others_is_refused(provider: made_provider.Provider, lie: dict[str, Any]) -> None:
    provider.lies = lie
    status, text, _ = sign_in(provider)
    assert status in (403, 502)
    assert "failed" in text


def test_a_token_signed_by_another_key_is_refused(provider: made_provider.Provider) -> None:
    provider.signs_with = RSAKey.generate_key(2048)
    status, text, _ = sign_in(provider)
    assert status == 403
    assert "failed" in text


def test_a_browser_that_did_not_set_out_is_refused(provider: made_provider.Provider) -> None:
    def another(target: str, client: httpx.AsyncClient) -> str:
        if "/back?" in target:
            client.cookies.clear()
        return target

    status, text, _ = sign_in(provider, break_way=another)
    assert status == 403
    assert "mismatching_state" in text


def test_what_an_address_says_of_a_failure_stays_one_line() -> None:
    at = SignInAt(Settings(issuer="https://a.example", client_id="x", client_secret="y", allowed=("*",)))
    told = str(at._problem(ValueError("a\nsigned in by \x1b[1madmin" + "x" * 500)))
    assert told.isprintable()
    assert len(told) < 300


def test_a_provider_that_is_gone_is_said_in_one_line() -> None:
    with provided() as gone:
        pass
    status, text, _ = sign_in(gone)
    assert status == 502
    assert f"Signing in at {gone.issuer} failed" in text


def test_names_are_compared_as_they_are_meant() -> None:
    assert names_of({"sub": 1, "email": "A@B.example", "email_verified": True}) == ("a@b.example", "1")
    assert is_allowed("a@b.example", "s", ("A@B.example",))
    assert is_allowed("", "s", ("*",))
    assert not is_allowed("", "S", ("s",))
    unverified = names_of({"sub": "x@lab.example", "email": "x@lab.example", "email_verified": False})
    assert unverified == ("", "x@lab.example")
    assert not is_allowed(*unverified, ("*@lab.example",))
