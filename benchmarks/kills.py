"""`kill -9` at random moments, and what is left of it: every trial once, the same numbers, no process, no file.

    python -m benchmarks.kills [--moments 50] [--seed 0] [--only driver,worker] [--minutes 9] [--folder kills]

A small study is run as a process of its own. At each moment one process is killed: the driver, a trial's worker, Ray's
raylet or GCS or what started them, or, beside the run, the dashboard or its inference process. Half of the moments are
drawn over the time until a run's first trial, half over its trials. Where the run is over, `whichlayers run` is started
again at once, and the next moment hits that run, until the study is done. Then what is stored is held against a run
that nobody disturbed, bit by bit, and the next study begins. FOLDER keeps a line of JSON per moment and study
(log.jsonl) and is gone on with: with --minutes no moment begins after that time. The tables are of all moments in the
folder.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.commands import Command, Dashboard, Place
from engine.store import Store, closed_ids
from engine.trial import CLOSED

OF_RUN = ("driver", "worker", "raylet", "gcs", "starter")
VICTIMS = (*OF_RUN, "inference", "dashboard")
STUDY = """
name: undisturbed
model: {width: 2, image_size: 32}
data: {kind: simulated, images: 20}
start_weights: {images: 20, batches: 4}
strategies: [whole network, block 9]
fractions: [80]
learning_rates: [0.003]
folds: {of: 5, run: [0, 1, 2]}
training: {max_epochs: 6, batches_per_epoch: 4, patience: 6}
"""
GONE_SECONDS = 60.0
"""Time after which no process of a dead run may be left."""
HANG_SECONDS = 600.0
"""Time after which a run that neither goes on nor ends is given up, and counted as hung."""
MOST_TRIALS = 3
"""Trials that a run stores at most before it is disturbed."""
IMAGES = ["dice", "iou", "hd95", "predicted_pixels"]
EPOCHS = ["training_loss", "validation_loss", "validation_dice"]


@dataclass
class Going:
    """A study that is being run, and disturbed."""

    name: str
    run: Command
    after: str = ""
    """What was killed before this run began; "" of a study's first."""
    first: float | None = None
    """Seconds from this run's start until its first trial."""
    kills: list[str] = field(default_factory=list)


def main() -> None:
    """Kill, run again, look; then print the tables of all moments in the folder."""
    wanted = _arguments()
    place = Place(wanted.folder, Path(tempfile.mkdtemp(prefix="k", dir="/tmp")), STUDY)
    begun, servers = time.monotonic(), list[Dashboard]()
    try:
        reference = undisturbed(place)
        seen = {line["moment"] for line in place.lines() if "moment" in line}
        drawn = random.Random(wanted.seed)
        going: Going | None = None
        for moment in range(wanted.moments):
            victim, early, where = VICTIMS[moment % len(VICTIMS)], drawn.random() < 0.5, drawn.random()
            if moment in seen or victim not in wanted.only:
                continue
            if wanted.minutes and time.monotonic() - begun > 60 * wanted.minutes:
                break
            line, pause = None, where * 7 % 1.0
            while line is None:  # a study may be done before the moment comes
                going = going or begin(place, f"study-{moment}-{time.time_ns()}")
                line = disturb(place, going, servers, reference, victim, early=early, where=where, pause=pause)
                if line is None:
                    pause /= 2
                    place.add(finish(place, going, reference))
                    going = None
            place.add({"moment": moment, "seed": wanted.seed, **line})
        if going is not None:
            place.add(finish(place, going, reference))
    finally:
        for server in servers:
            server.end()
        shutil.rmtree(place.temporary, ignore_errors=True)
    for table in tables(place.lines()):
        print("\n" + as_markdown(table))
    print(f"\nload over 1, 5, 15 minutes: {', '.join(f'{part:.1f}' for part in os.getloadavg())}")


def begin(place: Place, name: str) -> Going:
    """The first run of a study."""
    return Going(name, Command(place, "run", str(place.study), "--name", name))


def undisturbed(place: Place) -> dict[str, Any]:
    """Numbers of a run that nobody disturbs, by trial, and the seconds until its first trial; made where absent."""
    kept = place.folder / "undisturbed.json"
    if not kept.exists():
        going = begin(place, "undisturbed")
        while not going.run.is_over:
            _watch(place, going)
            time.sleep(0.05)
        if going.run.process.returncode or going.first is None:
            sys.exit(f"the undisturbed run failed: {going.run.said()}")
        kept.write_text(json.dumps({"first": going.first, "seconds": time.monotonic() - going.run.begun}))
    return {**json.loads(kept.read_text()), "numbers": numbers(place.store, "undisturbed")}


def disturb(
    place: Place,
    going: Going,
    servers: list[Dashboard],
    reference: dict[str, Any],
    victim: str,
    *,
    early: bool,
    where: float,
    pause: float,
) -> dict[str, Any] | None:
    """Wait for the moment, kill `victim`, look; gives what was seen, or None where the run was over before."""
    told = dict(zip(("study", "trial"), ("undisturbed", min(reference["numbers"])), strict=True))
    if victim not in OF_RUN and not servers:
        servers.append(Dashboard(place))
        servers[0].answer(**told)
    killed: Command = going.run if victim in OF_RUN else servers[0]
    if not _wait_for_moment(place, going, killed, reference, victim, early=early, where=where, pause=pause):
        return None
    going.run.look()
    target = killed.find(victim)
    if target is None:
        return None
    stored, said = len(_stored(place, going)), {"victim": victim, "early": early, "study": going.name}
    said |= {"at": round(time.monotonic() - going.run.begun, 1), "trained": going.first is not None, "stored": stored}
    target.kill()
    going.kills.append(victim)
    if victim == "inference":
        return {**said, "again": round(servers[0].answer(**told), 1)}
    if victim == "dashboard":
        killed.process.wait()
        servers[:] = [Dashboard(place, servers[0].port)]
        said["again"] = round(servers[0].answer(**told), 1)
    elif victim == "worker":
        return said | _ray_bytes(place)
    else:
        said |= _over(place, going, victim)
    begun, gone = time.monotonic(), not killed.left()
    while not gone and time.monotonic() - begun < GONE_SECONDS:
        _watch(place, going)
        time.sleep(0.2)
        gone = not killed.left()
    return {**said, "gone": round(time.monotonic() - begun, 1), "left": killed.left()}


def _over(place: Place, going: Going, victim: str) -> dict[str, Any]:
    """Wait until a run that lost its driver or daemon is over; begin the next one at once."""
    begun, run, said = time.monotonic(), going.run, _ray_bytes(place)
    try:
        run.process.wait(HANG_SECONDS)
    except subprocess.TimeoutExpired:
        run.end()
        said["hung"] = True
    told = {"code": run.process.returncode, "over": round(time.monotonic() - begun, 1), "said": run.said()}
    told |= {"after": going.after, "first": going.first}
    going.run, going.after, going.first = Command(place, "run", str(place.study), "--name", going.name), victim, None
    return said | told


def finish(place: Place, going: Going, reference: dict[str, Any]) -> dict[str, Any]:
    """Let the study be done, and hold it against the undisturbed one; its results go where all is well."""
    while not going.run.is_over:
        _watch(place, going)
        time.sleep(0.1)
    codes = [going.run.process.returncode]
    going.run.look()
    if codes[0]:  # crashed trials are tried again by the same command, as it says
        again = Command(place, "run", str(place.study), "--name", going.name)
        codes.append(again.process.wait())
    begun = time.monotonic()
    while left := going.run.left():
        if time.monotonic() - begun > GONE_SECONDS:
            break
        time.sleep(0.5)
    attempts, found = place.store.attempts(going.name), numbers(place.store, going.name)
    closed = attempts[attempts["state"].isin(CLOSED)]
    told = {
        "planned": len(reference["numbers"]),
        "closed": int(closed["id"].nunique()),
        "foreign": len(set(closed["id"]) - set(reference["numbers"])),
        "twice": int(closed["id"].duplicated().sum()),
        "other": sum(found.get(trial) != of for trial, of in reference["numbers"].items()),
        "damaged": len(place.store.damaged(going.name)),
    }
    if told["closed"] == told["planned"] and not sum(told[key] for key in ("foreign", "twice", "other", "damaged")):
        shutil.rmtree(place.folder / "results" / going.name)
    return {
        "study": going.name, "kills": going.kills, "codes": codes, "left": left, "after": going.after,
        "first": going.first, "ray_bytes_left": _bytes(place.temporary), **told,
    }  # fmt: skip


def numbers(store: Store, study: str) -> dict[str, list[str]]:
    """Every closed trial's numbers, to the last bit: of its test images, and of its epochs."""
    closed = closed_ids(store.attempts(study))
    found: dict[str, list[str]] = {trial: [] for trial in sorted(closed)}
    images = store.test_images(study, closed).sort_values(["id", "number", "index"])
    epochs = store.epochs(study, closed).sort_values(["id", "number", "epoch"])
    last = images.groupby("id")["number"].max()  # earlier attempts crashed
    for frame, columns in ((images, IMAGES), (epochs, EPOCHS)):
        for row in frame[frame["number"] == frame["id"].map(last)][["id", *columns]].itertuples(index=False):
            found[row[0]] += [float(value).hex() for value in row[1:]]
    return found


def tables(lines: list[dict[str, Any]]) -> list[pd.DataFrame]:
    """A row per victim, and a row of the studies that were held against the undisturbed one."""
    moments, studies = [line for line in lines if "moment" in line], [line for line in lines if "planned" in line]
    rows = []
    for victim in VICTIMS:
        of = [line for line in moments if line["victim"] == victim]
        if of:
            rows.append(
                {
                    "killed": victim,
                    "moments": len(of),
                    "before the first trial": sum(not line["trained"] for line in of),
                    "run hung": sum(line.get("hung", False) for line in of),
                    "run over after, s": _span([line.get("over") for line in of]),
                    "next run's first trial, s": _span(
                        [line["first"] for line in lines if line.get("after") == victim]
                    ),
                    "answers again after, s": _span([line.get("again") for line in of]),
                    "no process left after, s": _span([line.get("gone") for line in of]),
                    "left after 60 s": sum(len(line.get("left", [])) for line in of),
                }
            )
    told = pd.DataFrame(studies)
    if told.empty:
        return [pd.DataFrame(rows)]
    whole = {
        "studies": len(told),
        "kills in them": int(told["kills"].map(len).sum()),
        "trials closed": f"{told['closed'].sum()} of {told['planned'].sum()}",
        **{word: int(told[key].sum()) for word, key in (("closed twice", "twice"), ("with other numbers", "other"))},
        **{word: int(told[key].sum()) for word, key in (("not planned", "foreign"), ("damaged files", "damaged"))},
        "Ray's files, MB": f"{max((line.get('ray_bytes', 0) for line in moments), default=0) / 1e6:.1f}",
        "left of them, MB": f"{told['ray_bytes_left'].max() / 1e6:.1f}",
        "processes left": int(told["left"].map(len).sum()),
    }
    return [pd.DataFrame(rows), pd.DataFrame([whole])]


def as_markdown(frame: pd.DataFrame) -> str:
    """The frame as a table of Markdown."""
    rows = [list(frame.columns), ["---", *["---:"] * (len(frame.columns) - 1)], *frame.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _span(values: list[float | None]) -> str:
    known = sorted(value for value in values if value is not None)
    return f"{known[len(known) // 2]:.0f} ({known[0]:.0f} to {known[-1]:.0f})" if known else ""


def _wait_for_moment(
    place: Place,
    going: Going,
    killed: Command,
    reference: dict[str, Any],
    victim: str,
    *,
    early: bool,
    where: float,
    pause: float,
) -> bool:
    """Returns at the moment that was drawn, `pause` seconds after a trial; tells whether the run was still at work."""
    goal = len(_stored(place, going)) + int(where * (MOST_TRIALS + 1))
    since: float | None = None
    while not going.run.is_over:
        _watch(place, going)
        if since is None and killed.find(victim) is not None:
            since = time.monotonic()
        if since is not None:
            waited = time.monotonic() - since
            if early and (going.first is not None or waited >= where * reference["first"]):
                return True
            if not early and going.first is not None and len(_stored(place, going)) >= goal:
                time.sleep(pause)
                return not going.run.is_over
        if time.monotonic() - going.run.begun > 2 * HANG_SECONDS:
            going.run.end()
        time.sleep(0.05)
    return False


def _watch(place: Place, going: Going) -> None:
    """Note when the run has said that trials are trained."""
    if going.first is None:
        told = place.folder / "results" / going.name / "progress.json"
        with suppress(OSError, ValueError):
            if told.stat().st_mtime > going.run.since and json.loads(told.read_text())["phase"] == "training":
                going.first = time.monotonic() - going.run.begun


def _stored(place: Place, going: Going) -> set[str]:
    return {name.split(".")[0] for name, _ in place.store.files.names(f"{going.name}/attempts")}


def _ray_bytes(place: Place) -> dict[str, int]:
    return {"ray_bytes": _bytes(place.temporary)}


def _bytes(folder: Path) -> int:
    """Bytes on disk of everything in a folder."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_blocks * 512
    return total


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(VICTIMS), help=", ".join(VICTIMS))
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no moment after this time; 0: no limit")
    parser.add_argument("--folder", type=Path, default=Path("kills"), help="study, store, cache and log")
    return parser.parse_args()


if __name__ == "__main__":
    main()
