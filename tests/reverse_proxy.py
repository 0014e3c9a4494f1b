"""nginx in front of the server, set up as docs/server.md says."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs" / "server.md"


def nginx() -> str:
    """Path of nginx; without one the tests are skipped, and fail where the automatic tests run (CI=true)."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no nginx; install Debian's nginx-light")
    return found


def location(backend: str) -> str:
    """The `location` block of docs/server.md, for the server at `backend`."""
    block = re.search(r"```nginx\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert block, "docs/server.md shows no nginx block"
    return block[1].replace("http://127.0.0.1:8501", backend)


@contextmanager
def proxied(url: str, folder: Path) -> Iterator[str]:
    """The address of the start page behind the proxy."""
    parts = urlsplit(url)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(f"""
pid {folder}/pid; error_log {folder}/error.log; daemon off; worker_processes 1;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {location(f"http://{parts.netloc}")}
  }}
}}
""")
    proxy = subprocess.Popen([nginx(), "-e", f"{folder}/error.log", "-c", str(configuration), "-p", str(folder)])
    try:
        for _ in range(200):
            with socket.socket() as asked:
                if asked.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}{parts.path}"
    finally:
        proxy.terminate()
        proxy.wait(10)
