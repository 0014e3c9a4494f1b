"""A password as it is kept: its scrypt hash with a salt of its own (RFC 7914), never the password."""

import base64
import hashlib
import hmac
import secrets

from engine.errors import WhichLayersError

COST, BLOCK, PARALLEL = 2**15, 8, 3
"""N, r and p of scrypt: 32 MB and some tenths of a second for a guess."""
SHORTEST = 10
"""Characters of a password."""
LONGEST = 1024
KEY_BYTES = 32
LARGEST_MEMORY = 256 * 2**20


def hashed(password: str) -> str:
    """`scrypt:N:r:p:salt:key` of a new password. Raises WhichLayersError where it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise WhichLayersError(f"a password of {len(password)} characters; use {SHORTEST} to {LONGEST}")
    salt = secrets.token_bytes(16)
    key = _key(password, salt, COST, BLOCK, PARALLEL)
    return f"scrypt:{COST}:{BLOCK}:{PARALLEL}:{_text(salt)}:{_text(key)}"


def matches(password: str, kept: str) -> bool:
    """Whether `password` is the one that `kept` was made of. Takes as long for a wrong one."""
    cost, block, parallel, salt, key = _parts(kept)
    if len(password) > LONGEST:
        return False
    return hmac.compare_digest(_key(password, salt, cost, block, parallel), key)


def is_hash(kept: str) -> bool:
    """Whether a text is what `hashed` makes."""
    try:
        cost, block, parallel, salt, key = _parts(kept)
    except (ValueError, TypeError):
        return False
    return min(cost, block, parallel) > 0 and 128 * cost * block <= LARGEST_MEMORY // 2 and bool(salt) and bool(key)


def _parts(kept: str) -> tuple[int, int, int, bytes, bytes]:
    name, cost, block, parallel, salt, key = kept.split(":")
    if name != "scrypt":
        raise ValueError(name)
    return int(cost), int(block), int(parallel), base64.b64decode(salt, validate=True), base64.b64decode(key)


def _key(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=cost, r=block, p=parallel, maxmem=LARGEST_MEMORY, dklen=KEY_BYTES
    )


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
