"""Who may sign in: one YAML file with a password's hash, an OpenID Connect provider, or both."""

import os
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from dashboard.sign_in.passwords import hashed, is_hash
from engine.errors import WhichLayersError

HOURS = 12.0
"""How long somebody stays signed in, where the file does not say it."""
KEYS = ("password", "oidc", "hours")
OIDC_KEYS = ("issuer", "client_id", "client_secret", "allowed")


@dataclass(frozen=True, kw_only=True)
class Provider:
    """An OpenID Connect provider that signs people in."""

    issuer: str
    """Its address, as it calls itself."""
    client_id: str
    client_secret: str
    allowed: tuple[str, ...]
    """Verified e-mail addresses (`*@lab.example` for all of a domain) or subjects; `*` is everybody it knows."""


@dataclass(frozen=True, kw_only=True)
class SignInSettings:
    """What the file says; at least one of `password` and `oidc` is there."""

    password: str | None
    """Its scrypt hash."""
    oidc: Provider | None
    hours: float
    """After so long everybody signs in anew."""


def load(path: Path) -> SignInSettings:
    """The settings of a file. Raises WhichLayersError with a line for every mistake."""
    try:
        content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise WhichLayersError(f"{path}: {reason}; make it with: whichlayers password {path}") from error
    except YAMLError as error:
        raise WhichLayersError(f"{path}: no YAML ({str(error).splitlines()[0]}); one 'key: value' a line") from error
    content = content or {}
    if not isinstance(content, dict):
        raise WhichLayersError(f"{path}: expected keys {', '.join(KEYS)}; make it with: whichlayers password {path}")
    mistakes = _unknown(path, "", content, KEYS)
    password, hours, oidc = content.get("password"), content.get("hours", HOURS), content.get("oidc")
    if password is not None and not (isinstance(password, str) and is_hash(password)):
        mistakes.append(f"{path}: 'password' is no hash; make it with: whichlayers password {path}")
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= 24 * 365:
        mistakes.append(f"{path}: 'hours' is {hours}; give the hours that somebody stays signed in, such as {HOURS:g}")
    if password is None and oidc is None:
        mistakes.append(f"{path}: neither 'password' nor 'oidc'; make a password with: whichlayers password {path}")
    if oidc is not None:
        mistakes += _provider_mistakes(path, oidc)
    if mistakes:
        raise WhichLayersError(mistakes)
    provider = Provider(**{**oidc, "allowed": tuple(oidc["allowed"])}) if oidc else None
    return SignInSettings(password=password, oidc=provider, hours=float(hours))


def write_password(path: Path, password: str) -> None:
    """Put a new password's hash into the file, which only its owner may read; other keys stay.

    Raises WhichLayersError where the password is too short, or the file cannot be written.
    """
    kept = hashed(password)
    yaml = YAML(pure=True)
    try:
        content: Any = yaml.load(path.read_text(encoding="utf-8")) if path.exists() else None
        if content is not None and not isinstance(content, dict):
            raise WhichLayersError(f"{path}: another kind of file; choose another name")
        content = content if content is not None else {}
        content["password"] = kept
        text = StringIO()
        yaml.width = 4096
        yaml.dump(content, text)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(path.name + ".part")
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text.getvalue())
        aside.replace(path)
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        raise WhichLayersError(f"{path}: cannot be written ({error}); choose another file") from error


def _provider_mistakes(path: Path, oidc: Any) -> list[str]:
    if not isinstance(oidc, dict):
        return [f"{path}: 'oidc' has no keys; it needs {', '.join(OIDC_KEYS)}"]
    mistakes = _unknown(path, "oidc.", oidc, OIDC_KEYS)
    for key in OIDC_KEYS[:3]:
        if not isinstance(oidc.get(key), str) or not oidc[key]:
            mistakes.append(f"{path}: 'oidc.{key}' is missing; the provider names it")
    issuer = oidc.get("issuer")
    if isinstance(issuer, str) and issuer and not _is_safe_address(issuer):
        mistakes.append(f"{path}: 'oidc.issuer' is {issuer}; an address that begins with https:// is needed")
    allowed = oidc.get("allowed")
    if not isinstance(allowed, list) or not allowed or not all(isinstance(one, str) and one for one in allowed):
        mistakes.append(
            f'{path}: \'oidc.allowed\' is missing; list who may sign in: ["*@lab.example"], or ["*"] for everybody '
            "whom the provider knows"
        )
    return mistakes


def _is_safe_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost"))
    except ValueError:
        return False


def _unknown(path: Path, within: str, content: dict[str, Any], known: tuple[str, ...]) -> list[str]:
    lines = []
    for key in content:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            remedy = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
            lines.append(f"{path}: unknown key '{within}{key}'; {remedy}")
    return lines
