"""Progress of a run in the terminal: a bar where there is one, else a line per change."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from dashboard.figures.answer import duration


@contextmanager
def show_progress(study: str, console: Console | None = None) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """A listener for `engine.search.running.run` that draws n/N, failures, what runs, time and ETA."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _lines(study, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[left]}"), console=console, transient=False) as bar:
        task = bar.add_task(study, total=1.0, count="", left="")
        yield lambda progress: _draw(bar, task, study, progress)


def _draw(bar: Progress, task: TaskID, study: str, progress: Mapping[str, Any]) -> None:
    if progress["state"] == "preparing":
        bar.update(task, description=f"{study}: {progress['phase']}", total=1.0, completed=progress["fraction"])
        return
    eta = progress["eta_seconds"]
    bar.update(
        task,
        description=f"{study}: {_now(progress)}",
        total=max(progress["trials"], 1),
        completed=progress["closed"],
        count=counts(progress),
        left=_left(eta),
    )


def counts(progress: Mapping[str, Any]) -> str:
    """`12/40 trials, 1 failed` of what a run says."""
    return f"{progress.get('closed', 0)}/{progress.get('trials', 0)} trials{_besides(progress)}"


def _besides(progress: Mapping[str, Any]) -> str:
    """`, 1 failed, 2 stopped by hand`: what became of trials that are not done."""
    words = {"failed": "failed", "cancelled": "stopped by hand", "stopped_early": "stopped early"}
    return "".join(f", {progress[key]} {word}" for key, word in words.items() if progress.get(key))


def _left(eta_seconds: float | None) -> str:
    return "" if eta_seconds is None or eta_seconds < 1 else f"{duration(eta_seconds)} left"


def _now(progress: Mapping[str, Any]) -> str:
    running = progress["running"]
    if progress["state"] == "running" and progress["error"]:
        return str(progress["error"])
    if progress["state"] != "running" or not running:
        return str(progress["phase"] or progress["state"])
    first = running[0]
    more = f" and {len(running) - 1} more" if len(running) > 1 else ""
    again = " again" if first.get("repeat") else ""
    return f"{first['strategy']}, {first['fraction']:g} %, fold {first['fold']}{again}{more}"


def _lines(study: str, console: Console) -> Callable[[Mapping[str, Any]], None]:
    said = {"line": ""}

    def listen(progress: Mapping[str, Any]) -> None:
        if progress["state"] == "preparing":
            line = f"{study}: {progress['phase'].split(':')[0]}, {int(progress['fraction'] * 10) * 10} %"
        else:
            line = f"{study}: {progress['state']}" + (f", {counts(progress)}" if progress["trials"] else "")
            line += f"; {progress['error']}" if progress["state"] == "running" and progress["error"] else ""
        if line != said["line"]:
            eta = progress["eta_seconds"]
            console.print(line + (f", {_left(eta)}" if _left(eta) else ""), highlight=False)
            said["line"] = line

    return listen
