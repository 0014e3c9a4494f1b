"""The networks that the inference process has loaded, each as the store has it now."""

import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Literal

from engine.errors import WhichLayersError

if TYPE_CHECKING:
    from engine.predicting import TrainedNetwork
    from engine.store import Store

MODELS_KEPT = 4
"""Networks that stay loaded; the one used longest ago goes first (124 MB each at width 64)."""

BYTES_KEPT = 1_200_000_000
"""Bytes of weights above which fewer stay loaded: two of VGG16."""

GPU_BYTES_NEEDED = 2 * 2**30
"""Free GPU memory below which frames are answered by the processor, so that no trial runs out of memory."""

BUCKET_SECONDS = 10.0
"""Between two looks at whether a bucket still has a network's weights, and the same ones."""

Key = tuple[str, str]
"""A study and the id of its trial."""


class Networks:
    """The networks that were used last."""

    def __init__(self, store: "Store", cache: Path) -> None:
        self._store, self._cache, self._weights = store, cache, _Weights(store)
        self._loaded: OrderedDict[Key, TrainedNetwork] = OrderedDict()
        self._files: dict[Key, tuple[int, ...]] = {}

    def __getitem__(self, key: Key) -> "TrainedNetwork":
        """The network of (study, trial id), loaded where it is not, or where its file is another one or gone by now.

        In a bucket that is noticed some seconds later: a frame waits for no bucket, and a loaded network answers on
        where none can be reached. Raises as `engine.predicting.load_network`.
        """
        from engine.predicting import load_network

        if key in self._loaded and self._files[key] != self._weights.version(key):
            del self._loaded[key], self._files[key]
        if key not in self._loaded:
            file = self._weights.begin(key)
            self._loaded[key] = load_network(self._store, *key, cache=self._cache, device=_device())
            self._files[key] = file
            while len(self._loaded) > MODELS_KEPT or (len(self._loaded) > 1 and self._bytes() > BYTES_KEPT):
                del self._files[self._loaded.popitem(last=False)[0]]
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def _bytes(self) -> int:
        return sum(tensor.nbytes for one in self._loaded.values() for tensor in one.model.network.state_dict().values())


class _Weights:
    """Tells a trial's file of weights from another one under its name; `()` where there is none."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._seen: dict[Key, tuple[int, ...]] = {}
        """Of a bucket: what was seen last."""
        self._looked: dict[Key, float] = {}

    def begin(self, key: Key) -> tuple[int, ...]:
        """The file that is there now, before its network is loaded."""
        self._looked[key] = time.monotonic()
        self._seen[key] = self._now(key)
        return self._seen[key]

    def version(self, key: Key) -> tuple[int, ...]:
        """The file that is there now; in a bucket the one that was seen last."""
        if self._store.files.local:
            return self._now(key)
        if time.monotonic() - self._looked[key] >= BUCKET_SECONDS:
            self._looked[key] = time.monotonic()
            Thread(target=self._look, args=(key,), name="weights in the bucket", daemon=True).start()
        return self._seen[key]

    def _look(self, key: Key) -> None:
        study, trial_id = key
        with suppress(WhichLayersError):  # out of reach
            self._seen[key] = self._now(key) if trial_id in self._store.has_weights(study) else ()

    def _now(self, key: Key) -> tuple[int, ...]:
        try:
            about = self._store.trained_weights(*key).stat()
        except (WhichLayersError, OSError):
            return ()
        return about.st_ino, about.st_mtime_ns, about.st_size


def _device() -> Literal["cpu", "cuda"]:
    """The GPU where there is one that trainers have not filled."""
    import torch

    return "cuda" if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > GPU_BYTES_NEEDED else "cpu"
