"""Starts Ray for a run, says where it answers, and ends it when its own input ends, as it does when the run is gone.

A process of its own, started by `engine.search.starting` as a file.
"""

import json
import os
import sys

OBJECT_STORE_BYTES = 100 * 2**20
"""Data travel as mapped files, not through Ray's object store, which is small in containers."""
TRIES = 3
"""A busy machine may take longer than Ray waits for itself."""


def started(cores: int, folder: str) -> dict[str, str]:
    """Starts Ray; gives its {"address", "auth"} or the {"problem"}."""
    import ray

    problem = ""
    for _ in range(TRIES):
        try:
            context = ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                logging_level="ERROR",
                log_to_driver=False,
                _temp_dir=folder,
            )
            return {"address": context.address_info["address"], "auth": os.environ.get("RAY_AUTH_MODE", "")}
        except Exception as error:
            ray.shutdown()
            problem = " ".join(str(error).split())[:200]
    return {"problem": problem}


def main(answer: int, cores: int, folder: str) -> None:
    """Tells the answer as one line of JSON to the file descriptor `answer`."""
    told = started(cores, folder)
    with os.fdopen(answer, "w") as there:
        there.write(json.dumps(told) + "\n")
    if "address" in told:
        sys.stdin.read()
        import ray

        ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
