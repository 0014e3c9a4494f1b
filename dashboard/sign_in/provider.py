"""Signing in at an OpenID Connect provider: to it and back, by Authlib (authorization code, PKCE, state, nonce)."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import Response

from dashboard.sign_in.settings import Provider
from engine.errors import WhichLayersError
from engine.images.source import printable

SECONDS = 10.0
"""How long the provider may take for an answer."""


class SignInAt:
    """The way to a provider and back. Nothing is asked of it before somebody signs in."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._client: Any = OAuth().register(
            "provider",
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            server_metadata_url=f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": "openid email profile", "code_challenge_method": "S256",
                "timeout": SECONDS, "trust_env": False,
            },
        )  # fmt: skip

    async def leave(self, request: Request, back: str) -> Response:
        """Sends the browser to the provider, which sends it to `back`. Raises WhichLayersError."""
        try:
            await self._check_issuer()
            answer: Response = await self._client.authorize_redirect(request, back)
        except (AuthlibBaseError, httpx2.HTTPError, ValueError, KeyError, RuntimeError) as error:
            raise self._problem(error) from error
        return answer

    async def returned(self, request: Request) -> str:
        """Who came back: an e-mail address where the provider verified one, else the subject.

        Raises WhichLayersError where the provider did not send them, or the settings do not allow them.
        """
        try:
            await self._check_issuer()
            token = await self._client.authorize_access_token(request)
            claims: Mapping[str, Any] = token["userinfo"]
        except (AuthlibBaseError, JoseError, httpx2.HTTPError, ValueError, KeyError, RuntimeError) as error:
            raise self._problem(error) from error
        email, subject = names_of(claims)
        if not is_allowed(email, subject, self._provider.allowed):
            raise WhichLayersError(f"{email or subject} may not sign in here; ask whoever keeps the server")
        return email or subject

    async def _check_issuer(self) -> None:
        found = (await self._client.load_server_metadata()).get("issuer")
        if found != self._provider.issuer:
            raise ValueError(f"it calls itself {found}")

    def _problem(self, error: Exception) -> WhichLayersError:
        reason = printable(str(error), most=200) or type(error).__name__  # it may come out of an address
        return WhichLayersError(f"Signing in at {self._provider.issuer} failed ({reason}); try again")


def names_of(claims: Mapping[str, Any]) -> tuple[str, str]:
    """E-mail address, "" unless it is verified, and subject: what somebody may be allowed by."""
    email = claims.get("email")
    verified = isinstance(email, str) and claims.get("email_verified") is True
    return str(email).lower() if verified else "", str(claims["sub"])


def is_allowed(email: str, subject: str, allowed: tuple[str, ...]) -> bool:
    """Whether somebody is allowed. Patterns with `@` are for verified e-mail addresses, in any case of letters, and
    never for a subject, which some providers let people choose; `*` is for everybody.
    """
    return any(
        bool(email) and fnmatchcase(email, pattern.lower()) if "@" in pattern else fnmatchcase(subject, pattern)
        for pattern in allowed
    )
