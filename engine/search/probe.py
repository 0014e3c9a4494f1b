"""What a node of a cluster tells of itself. Its text is sent there and executed: nothing of ours need be installed."""

import os
import socket
from dataclasses import asdict
from typing import Any


def told(root: str, token: str) -> dict[str, Any]:
    """The node's host, versions, code and machine, and what is wrong with the store at `root` as seen from there.

    Where our package cannot be loaded `absent` says why, and nothing else is told.
    """
    host = {"host": socket.gethostname()}
    try:
        from engine.hardware import this_machine
        from engine.preparation import versions
        from engine.search.nodes import source_digest, store_problem
    except ImportError as error:
        return {**host, "absent": f"{type(error).__name__}: {error}"}
    return {
        **host,
        "versions": versions(),
        "code": source_digest(),
        "machine": asdict(this_machine()),
        "store": store_problem(root, token, f"{host['host']}-{os.getpid()}"),
    }
