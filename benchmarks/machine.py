"""What a table was measured on: one line of machine, load and date, and the command that prints it again."""

import os
import platform
import shlex
import sys
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def processor() -> str:
    """Name of the processor, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def machine_line(load: tuple[float, float, float] | None = None, gpu: str | None = None) -> str:
    """Machine, cores, load (now, or that given of the start) and date, in one line."""
    loads = ", ".join(f"{part:.1f}" for part in load or os.getloadavg())
    when = " at the start" if load else ""
    device = f", {gpu}" if gpu else ""
    threads = os.environ.get("OMP_NUM_THREADS")
    limited = f"; OMP_NUM_THREADS={threads}" if threads else ""
    return (
        f"{processor()}, {os.cpu_count()} cores{device}; load over 1, 5, 15 minutes{when}: {loads}{limited}; "
        f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    )


def command_line(module: str) -> str:
    """The command that was given, to run `module` again."""
    return shlex.join(["python", "-m", module, *sys.argv[1:]])


def versions(*packages: str) -> str:
    """The packages that are installed, with their versions."""
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
