"""A small OpenID Connect provider on this machine: discovery, authorization code with PKCE, signed ID tokens, keys."""

import base64
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "whichlayers", "of the client"


@dataclass(kw_only=True)
class Provider:
    """What it says of whoever signs in, to be changed by a test."""

    issuer: str
    claims: dict[str, Any] = field(default_factory=lambda: {"email": "Ann@lab.example", "email_verified": True})
    lies: dict[str, Any] = field(default_factory=dict)
    """Claims that take the place of true ones."""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signs_with: RSAKey | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def metadata(self, request: Request) -> Response:
        """Where everything is."""
        self.asked.append("metadata")
        return JSONResponse(
            {
                "issuer": self.lies.get("issuer", self.issuer),
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
        )

    def authorize(self, request: Request) -> Response:
        """Signs in whoever comes, and sends them back with a code."""
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(12)
        self.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def token(self, request: Request) -> Response:
        """An ID token for a code that was given to this client, once."""
        form = {name: values[-1] for name, values in parse_qs((await request.body()).decode()).items()}
        named = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (
            asked is None
            or request.headers.get("authorization") != f"Basic {named}"
            or challenge.decode().rstrip("=") != asked["code_challenge"]
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": "subject-1", "iat": now, "exp": now + 300,
            "nonce": asked["nonce"], **self.claims, **self.lies,
        }  # fmt: skip
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.signs_with or self.key)
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": signed})

    def keys(self, request: Request) -> Response:
        """The key that ID tokens are signed with."""
        return JSONResponse({"keys": [{**self.key.as_dict(private=False), "kid": "one"}]})


@contextmanager
def provided() -> Iterator[Provider]:
    """A provider that answers on a free port until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    provider = Provider(issuer=f"http://127.0.0.1:{listening.getsockname()[1]}/realm")
    routes = [
        Route("/realm/.well-known/openid-configuration", provider.metadata),
        Route("/realm/authorize", provider.authorize),
        Route("/realm/token", provider.token, methods=["POST"]),
        Route("/realm/keys", provider.keys),
    ]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
