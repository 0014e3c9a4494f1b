"""Memory that a training frees and takes again in every step stays with its process until the trial is over.

glibc gives freed blocks of some size back to the system at once, and the next step waits while it is handed the same
pages anew, filled with zeros, by one page fault each.
"""

import ctypes
from functools import cache
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings (`man 3 mallopt`)."""
KEPT_BYTES = 2**31 - 1
"""Freed memory at the end of the heap that is not given back."""
HEAP_BYTES = 2**30
"""Blocks up to this size come from the heap."""


def keep_memory() -> None:
    """From now on this process keeps what it frees; nothing where the C library is not glibc."""
    library = _glibc()
    if library is not None:
        library.mallopt(M_MMAP_THRESHOLD, HEAP_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def give_back_memory() -> None:
    """What is free now goes back to the system, for other trials and programs."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> Any | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
