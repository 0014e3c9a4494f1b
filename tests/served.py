"""The dashboard in a process of its own, on a free port, for tests that speak HTTP to it or drive a browser."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CODE = """
import json
import os
import sys
from pathlib import Path

def hear(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{event} {arguments[1 if event == 'socket.connect' else 0]}\\n")

if "ASKED" in os.environ:
    sys.addaudithook(hear)
from dashboard.server import serve
more = json.loads(sys.argv[4])
if "sign_in" in more:
    more["sign_in"] = Path(more["sign_in"])
serve(port=0, prefix=sys.argv[3], store=sys.argv[1], cache=Path(sys.argv[2]), **more)
"""


@contextmanager
def served(store: Path, cache: Path, prefix: str = "", asked: Path | None = None, **more: Any) -> Iterator[str]:
    """The address of the start page, once the server answers; the server is ended with the block.

    `more` are further arguments of `dashboard.server.serve`; into `asked` it writes every address that it looks up or
    connects to.
    """
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("STREAMLIT_", "WHICHLAYERS_"))
    }
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(store), str(cache), prefix, json.dumps(more, default=str)],
        cwd=cache,  # the pages must not need the project's folder
        env={**environment, "OMP_NUM_THREADS": "1", "HOME": str(cache), **({"ASKED": str(asked)} if asked else {})},
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
