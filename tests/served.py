"""The dashboard in a process of its own, on a free port, for tests that speak HTTP to it or drive a browser."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CODE = """
import sys
from pathlib import Path
from dashboard.server import serve
serve(port=0, prefix=sys.argv[3], store=sys.argv[1], cache=Path(sys.argv[2]))
"""


@contextmanager
def served(store: Path, cache: Path, prefix: str = "") -> Iterator[str]:
    """The address of the start page, once the server answers; the server is ended with the block."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("STREAMLIT_", "WHICHLAYERS_"))
    }
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(store), str(cache), prefix],
        cwd=cache,  # the pages must not need the project's folder
        env={**environment, "OMP_NUM_THREADS": "1", "HOME": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(r"http://\S+", line)
            if found:
                # The socket listens already: a request waits until the program has started.
                yield found[0]
                return
        raise AssertionError(f"the server ended with {process.wait()} before it said its address")
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()
