"""Where results and caches lie, as the server was told."""

import os
import shlex
from pathlib import Path

import platformdirs

READING = ("run", "preview", "import")
"""Commands that take a folder of decoded images."""


def store_root() -> str:
    """Where results lie: WHICHLAYERS_STORE, or the folder `results` of the current directory."""
    return os.environ.get("WHICHLAYERS_STORE") or str(Path("results").absolute())


def cache_root() -> Path:
    """Where decoded images lie: WHICHLAYERS_CACHE, or the user's cache folder."""
    return Path(os.environ.get("WHICHLAYERS_CACHE") or platformdirs.user_cache_path("whichlayers"))


def command(*words: str) -> str:
    """What does the same in a terminal, whatever folder that is in: `whichlayers`, the words, and this server's store.

    A run is told the cache too, where it is not the user's own.
    """
    root = store_root()
    places = ["--store", root if "://" in root else str(Path(root).absolute())]
    own = platformdirs.user_cache_path("whichlayers")
    if words[0] in READING and cache_root() != own:
        places += ["--cache", str(cache_root().absolute())]
    return shlex.join(["whichlayers", *words, *places])


def sign_out_address() -> str:
    """Where whoever signed in signs out; "" where nobody has to sign in."""
    return os.environ.get("WHICHLAYERS_SIGN_OUT", "")
