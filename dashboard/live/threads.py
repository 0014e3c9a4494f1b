"""Threads that wait for the inference process, of their own: sign-in, health and pages never wait behind frames."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
Said = TypeVar("Said")
_WAITING = ThreadPoolExecutor(16, thread_name_prefix="frames")


async def waited(ask: Callable[P, Said], *arguments: P.args, **named: P.kwargs) -> Said:
    """What `ask(*arguments, **named)` says, in one of these threads."""
    return await asyncio.get_running_loop().run_in_executor(_WAITING, partial(ask, *arguments, **named))
