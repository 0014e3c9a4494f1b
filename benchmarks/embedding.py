"""Maps of embeddings: seconds of each step, and of showing a map that is kept.

    python benchmarks/embedding.py [--images 4095] [--dimension 4096] [--methods t-SNE UMAP] [--threads 2]

4,095 vectors of 4,096 numbers are FC7 of the training images of Cheng and Malhi 2017. Vectors are made: eleven clouds
in ReLU outputs. What loads once (libraries, compilation) stands apart. Wall time is what a user waits; processor time,
summed over threads, says what an idle machine would need where others work beside. A machine whose load is above its
idle cores is told as such.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from engine.embeddings import EmbeddingMap, embedding_map, find_map, read_embedding, reduce, stored_map
from engine.store import Store

STUDY, TRIAL = "made", "0" * 64


def vectors(images: int, dimension: int) -> np.ndarray:
    """Float16 vectors around eleven centres, negative numbers cut off."""
    random = np.random.default_rng(0)
    centres = random.normal(0, 1, (11, dimension)).astype(np.float32)
    noise = random.standard_normal((images, dimension), dtype=np.float32)
    return np.maximum(centres[np.arange(images) % 11] + 3 * noise, 0).astype(np.float16)


def timed(what: Callable[[], Any]) -> tuple[Any, float, float]:
    """The result, wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    result = what()
    return result, time.perf_counter() - wall, time.process_time() - processor


def load(method: str) -> None:
    """What a method loads, and compiles with its first map."""
    embedding_map(vectors(200, 64), method, perplexity=10.0, threads=1)


def shown(found: EmbeddingMap) -> str:
    """The figure of a map as the page sends it."""
    import pandas as pd

    from dashboard.figures.embedding_map import embedding_map as figure
    from dashboard.figures.embedding_map import looks, map_table, values

    place = np.arange(int(found.index.max()) + 1)
    names = [f"class {number:02d}" for number in range(11)]
    frames = pd.DataFrame({"image": [f"frame {one}.png" for one in place], "label": [names[one % 11] for one in place],
                           "group": [f"study {one // 30}" for one in place], "scanner": "A"})  # fmt: skip
    tested = pd.DataFrame({"index": [], "predicted": [], "accuracy": [], "probabilities": []})
    table = map_table(found, frames, tested)
    return str(figure(table, "class", looks(values([table], "class", names)), method=found.method).to_json())


def machine(threads: int) -> str:
    """Processor, cores and load, in one line."""
    cores, (now, _, _) = len(os.sched_getaffinity(0)), os.getloadavg()
    idle = "idle" if now < 0.5 else f"LOADED: {now:.1f} other threads ran at the start, wall times say little"
    models = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return f"{(models or [platform.processor()])[0]}, {cores} cores, {threads} threads, {idle}"


def main() -> None:
    """Print a row per step."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=4095)
    parser.add_argument("--dimension", type=int, default=4096)
    parser.add_argument("--methods", nargs="*", default=["t-SNE", "UMAP"])
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args()
    print(f"{chosen.images:,} vectors of {chosen.dimension:,} numbers; {machine(chosen.threads)}\n")
    print("| step | wall s | processor s |\n|---|---:|---:|")

    def told(name: str, what: Callable[[], Any]) -> Any:
        result, wall, processor = timed(what)
        print(f"| {name} | {wall:.2f} | {processor:.2f} |", flush=True)
        return result

    features = vectors(chosen.images, chosen.dimension)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.at(folder)
        index = np.arange(chosen.images, dtype=np.int32)
        part = np.zeros(chosen.images, np.uint8)
        store.write_embedding(STUDY, TRIAL, save({"features": features, "index": index, "part": part}))
        told("read the embedding", lambda: read_embedding(store.embedding(STUDY, TRIAL)))
        told("load scikit-learn, first small PCA", lambda: reduce(vectors(600, 200)))
        told("PCA to 50", lambda: reduce(features))
        for method in chosen.methods:
            told(f"load {method}, first small map", lambda method=method: load(method))
            told(f"{method}, from vectors to a kept map",
                 lambda method=method: stored_map(store, STUDY, TRIAL, method, threads=chosen.threads))  # fmt: skip
            found = told(f"{method}, find the kept map", lambda method=method: find_map(store, STUDY, TRIAL, method))
            told("its figure as JSON, first", lambda found=found: shown(found))
            told("its figure as JSON, again", lambda found=found: shown(found))


if __name__ == "__main__":
    main()
