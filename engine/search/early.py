"""Ray begins to start while a study is still prepared: both take seconds, and a start mostly waits.

Nothing heavy is imported here, so that Ray's processes come up while this one loads PyTorch.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from engine.errors import StoreError
from engine.hardware import usable_cores
from engine.search.starting import Starting, starting_ray
from engine.store import Store
from engine.study_settings import Study

GPU_FILES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Where one is, PyTorch is asked what a trial takes, and Ray starts when that is known."""
STARTING: list[Starting] = []


@contextmanager
def early_ray(study: Study, store: Store, address: str | None) -> Iterator[None]:
    """Within the block `own_ray` finds a Ray that began to start with it, where the study will want one, and ends it.

    A start that fails is left to `own_ray`, which tries again and tells.
    """
    if not _is_wanted(study, store, address):
        yield
        return
    cpu = study.resources.cpu or 1
    with ExitStack() as stack:
        with suppress(OSError):  # no room for its folder, no process to be had
            STARTING.append(stack.enter_context(starting_ray(usable_cores() // cpu * cpu)))
            stack.callback(STARTING.clear)
        yield


def early() -> Starting | None:
    """The Ray that began to start early."""
    return STARTING[-1] if STARTING else None


def _is_wanted(study: Study, store: Store, address: str | None) -> bool:
    if address not in (None, "", "local") or any(Path(name).exists() for name in GPU_FILES):
        return False
    if study.resources.gpu or (study.resources.cpu or 1) > usable_cores():
        return False
    try:
        told = store.progress(study.name)
    except StoreError:
        return False
    return not told["alive"] and told.get("state") != "finished" and not store.is_archived(study.name)
