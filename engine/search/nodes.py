"""The machines of a Ray cluster: asked whether they can run trials of ours, and how many at once."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import engine
from engine.errors import StoreError, StudyFileError, WhichLayersError
from engine.hardware import Machine, Share, memory_gb, share
from engine.preparation import Places, versions
from engine.store import Store
from engine.study_settings import Study

ANSWER_SECONDS = 300.0
"""Time that a node has to start a worker, which loads torch."""
PROBES = ".probe"
"""Folder of the store where nodes show that they write to the same one."""


class ClusterError(WhichLayersError):
    """A Ray cluster that cannot be reached, or has no machine that can run the study."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One machine of a cluster that can run our trials."""

    node: str
    """Ray's id of it."""
    machine: Machine
    """With the cores and GPUs that Ray may use there."""
    memory_bytes: float
    """That Ray may give away there."""


def nodes(store: Store) -> list[Node]:
    """The living nodes of the cluster that this process is connected to.

    Raises ClusterError with a line for every node that lacks our package, has another version of what decides numbers,
    or sees another store than this process does.
    """
    alive, answers = _asked(store)
    if problems := [problem for answer in answers if (problem := _problem(answer))]:
        raise ClusterError(problems)
    return [_node(node, answer) for node, answer in zip(alive, answers, strict=True)]


def _asked(store: Store) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The living nodes, and what each says."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    token = uuid.uuid4().hex
    store.files.write(f"{PROBES}/{token}", token.encode())
    try:
        coming = [_ask(node["NodeID"], store.files.root, token) for node in alive]
        return alive, [_answer(node, answer) for node, answer in zip(alive, coming, strict=True)]
    finally:
        store.files.delete(f"{PROBES}/{token}")
        store.files.delete_empty(PROBES)


def places(found: Sequence[Node], study: Study) -> Places:
    """What one trial takes on these nodes, the same on each, and how many run at once.

    With GPUs in the cluster trials run on the nodes that have them. bfloat16 only where all of those multiply it in
    hardware. Raises StudyFileError where no node has what the study file asks for.
    """
    model, precision, resources = study.model, study.training.precision, study.resources
    able: list[tuple[Node, Share]] = []
    problems: dict[str, None] = {}
    for node in found:
        if node.machine.cores < 1:
            continue
        try:
            able.append((node, share(node.machine, resources, model, precision)))
        except StudyFileError as error:
            problems |= dict.fromkeys(f"{problem} ({node.machine.host})" for problem in error.problems)
    if not able:
        raise StudyFileError(list(problems) or ["no node of the cluster has a core for trials; add a worker node"])
    device = "cuda" if any(part.device == "cuda" for _, part in able) else "cpu"
    able = [(node, part) for node, part in able if part.device == device]
    gpu = max(part.gpu for _, part in able)
    same = replace(resources, cpu=able[0][1].cpu, gpu=gpu, at_once=None)
    memory = 0 if gpu else int(memory_gb(model) * 2**30)
    fit = {node.node: share(node.machine, same, model, precision).at_once for node, _ in able}
    if memory:
        fit = {node.node: min(fit[node.node], int(node.memory_bytes // memory)) for node, _ in able}
    room = sum(fit.values())
    if not room:
        raise StudyFileError(
            f"no node of the cluster has {memory / 2**30:.1f} GB for a trial; add memory, or choose a smaller network"
        )
    slowest = next((part for _, part in able if part.precision == "float32"), able[0][1])
    at_once = min(room, resources.at_once) if resources.at_once is not None else room
    portion = replace(slowest, gpu=gpu, at_once=at_once)
    told = tuple(
        {"host": node.machine.host, "cores": node.machine.cores, "gpus": node.machine.gpus, "at_once": fit[node.node]}
        for node, _ in able
    )
    return Places(portion=portion, room=room, memory_bytes=memory, machine=able[0][0].machine, nodes=told)


def source_digest() -> str:
    """SHA-256, hex, of the code of `engine`: two of the same version may still differ."""
    digest = hashlib.sha256()
    root = Path(engine.__path__[0])
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _ask(node: str, root: str, token: str) -> Any:
    """A node's answer to come. A lambda travels by value, and the text of the probe with it."""
    source = Path(__file__).with_name("probe.py").read_text(encoding="utf-8")
    where = NodeAffinitySchedulingStrategy(node, soft=False)
    execute: Any = exec
    told = ray.remote(num_cpus=0)(
        lambda *given: (space := dict[str, Any](__name__="probe"), execute(source, space), space["told"](*given))[-1]
    )
    return told.options(scheduling_strategy=where).remote(root, token)


def store_problem(root: str, token: str, mine: str) -> str:
    """Why this machine cannot write to the store in which another one put `token`, or ""."""
    try:
        files = Store.at(root).files
        if files.read(f"{PROBES}/{token}") != token.encode():
            return "it does not see the same files there; choose a folder that every node mounts, or s3://bucket/folder"
        files.write(f"{PROBES}/{token}-{mine}", b"")
        files.delete(f"{PROBES}/{token}-{mine}")
    except StoreError as error:
        return str(error)
    return ""


def _answer(node: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    try:
        told: dict[str, Any] = ray.get(answer, timeout=ANSWER_SECONDS)
        return told
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        return {"host": node["NodeManagerHostname"], "silent": reason}


def _problem(answer: Mapping[str, Any]) -> str:
    host = f"node {answer['host']}"
    if "silent" in answer:
        return f"{host} does not answer ({answer['silent']}); look at it with ray status"
    if "absent" in answer:
        return (
            f"{host}: whichlayers cannot be loaded there ({answer['absent']}); install the same version on every node"
        )
    ours = versions()
    other = [f"{name} {theirs} (here {ours.get(name)})" for name, theirs in answer["versions"].items()
             if theirs != ours.get(name)]  # fmt: skip
    if other:
        return f"{host} has {', '.join(other)}; install the same versions on every node, or numbers would differ"
    if answer["code"] != source_digest():
        return f"{host} has other code of whichlayers {ours['whichlayers']} than this machine; install the same on both"
    return f"{host}: {answer['store']}" if answer["store"] else ""


def _node(node: Mapping[str, Any], answer: Mapping[str, Any]) -> Node:
    machine, resources = Machine(**answer["machine"]), node["Resources"]
    cores, gpus = min(machine.cores, int(resources.get("CPU", 0))), min(machine.gpus, int(resources.get("GPU", 0)))
    return Node(
        node=node["NodeID"],
        machine=replace(machine, cores=cores, gpus=gpus, gpu=machine.gpu if gpus else None),
        memory_bytes=float(resources.get("memory", 0.0)),
    )
