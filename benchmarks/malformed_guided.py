"""The readers under a fuzzer that is guided by coverage (atheris, which is no part of the environment).

    pip install atheris
    python -m benchmarks.malformed_guided -max_total_time=600

It begins with the whole files and the bombs of `benchmarks.malformed` and keeps what reaches new branches of the
readers, of pydicom and of nibabel. It stops at the first file that gives anything but frames or one line of error, that
takes 30 s, or at 2 GiB. Options are libFuzzer's.
"""

import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Runs until the time is over or a file is found; libFuzzer writes that file and prints its path."""
    import atheris

    with atheris.instrument_imports(include=["engine.images", "pydicom", "nibabel"]):
        from benchmarks.malformed import bombs, read_all, whole_files

    def read(content: bytes) -> None:
        result = read_all(content, "x")
        if result not in ("error", "image"):
            raise RuntimeError(result)

    with tempfile.TemporaryDirectory() as folder:
        files = {**whole_files(), **{name: make() for name, make in bombs().items()}}
        for number, content in enumerate(files.values()):
            (Path(folder) / str(number)).write_bytes(content)
        limits = ["-timeout=30", "-rss_limit_mb=2048", "-max_len=100000", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *limits, *sys.argv[1:], folder], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
