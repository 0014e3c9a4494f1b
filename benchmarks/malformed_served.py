"""Malformed files sent to a dashboard: each gets one line or an outline, and the same processes answer afterwards.

    python -m benchmarks.malformed_served [--files 1000] [--seed 0]

The files are those of `benchmarks.malformed`; they go to `POST /inference/frame` of a server in a process of its own,
which reads them in its inference process, one after the other.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil

from benchmarks.live import STUDY, make_study
from benchmarks.machine import machine_line
from benchmarks.malformed import malformed
from benchmarks.sessions import serving
from tests import made_files as made

REFUSED = (413, 422)


@dataclass(frozen=True, kw_only=True)
class Served:
    """What became of the files, and of those who read them."""

    results: list[tuple[str, str]]
    """What was done to which file; `error`, `image`, or what went wrong."""
    seconds: list[float]
    readers: list[int]
    """Process numbers of the inference processes that were seen: one, where none died."""
    peak_mib: float
    """Largest memory of the server and of its inference process, together."""


def sent(files: int, seed: int) -> Served:
    """Serve a small study, and send it the files."""
    results, seconds, readers, peak = list[tuple[str, str]](), list[float](), dict[int, None](), 0.0
    with tempfile.TemporaryDirectory() as folder:
        trial = make_study(Path(folder) / "results", width=2, image_size=32)
        with (
            serving(Path(folder) / "results", Path(folder) / "cache") as (address, server),
            httpx.Client(base_url=address, timeout=180) as web,
        ):
            for number in range(files):
                what, content = malformed(number, seed)
                begun = time.perf_counter()
                try:
                    result = _said(
                        web.post("inference/frame", params={"study": STUDY, "trial": trial}, content=content)
                    )
                except httpx.HTTPError as error:
                    result = f"{type(error).__name__}: {error}"
                seconds.append(time.perf_counter() - begun)
                results.append((what, result))
                reading = [one for one in server.children() if "dashboard.inference.process" in " ".join(one.cmdline())]
                readers |= dict.fromkeys(one.pid for one in reading)
                peak = max(peak, sum(_peak_mib(one) for one in (server, *reading)))
    return Served(results=results, seconds=seconds, readers=list(readers), peak_mib=peak)


def _said(answer: httpx.Response) -> str:
    told = answer.json() if answer.headers.get("content-type", "").startswith("application/json") else None
    if not isinstance(told, dict):
        return f"{answer.status_code}, and no JSON: {answer.text[:100]}"
    line = str(told.get("problem", ""))
    if made.PATIENT in answer.text or made.NUMBER in answer.text:
        return f"names the patient: {line[:200]}"
    if answer.status_code == 200 and not line:
        return "image"
    if answer.status_code not in REFUSED or not line or "\n" in line or len(line) > 600:
        return f"{answer.status_code}, not one line of error: {line[:200]}"
    return "error"


def _peak_mib(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Print what became of the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    found = sent(wanted.files, wanted.seed)
    wrong = [(what, result) for what, result in found.results if result not in ("error", "image")]
    for what, result in wrong:
        print(f"{what}: {result}")
    counted = Counter(result for _, result in found.results)
    p50, p95 = np.percentile(found.seconds, (50, 95)) * 1000
    slowest = found.results[int(np.argmax(found.seconds))][0]
    print(
        f"{wanted.files} files (seed {wanted.seed}): {counted['error']} one line of error, {counted['image']} an "
        f"image, {len(wrong)} wrong; {p50:.0f} ms each (median), {p95:.0f} ms (95 %), {max(found.seconds):.1f} s "
        f"(longest: {slowest}); {len(found.readers)} inference process; peak memory of it and the server "
        f"{found.peak_mib:.0f} MiB"
    )
    print(machine_line())
    sys.exit(1 if wrong or len(found.readers) != 1 else 0)


if __name__ == "__main__":
    main()
