"""Where results and caches lie, as the server was told."""

import os
from pathlib import Path

import platformdirs


def store_root() -> str:
    """Where results lie: WHICHLAYERS_STORE, or the folder `results` of the current directory."""
    return os.environ.get("WHICHLAYERS_STORE") or str(Path("results").absolute())


def cache_root() -> Path:
    """Where decoded images lie: WHICHLAYERS_CACHE, or the user's cache folder."""
    return Path(os.environ.get("WHICHLAYERS_CACHE") or platformdirs.user_cache_path("whichlayers"))


def sign_out_address() -> str:
    """Where whoever signed in signs out; "" where nobody has to sign in."""
    return os.environ.get("WHICHLAYERS_SIGN_OUT", "")
