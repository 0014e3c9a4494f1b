"""The commands that keep studies in order: list, rename, archive, delete, export, import."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import platformdirs
import typer

from whichlayers.looking import StudyName, require_study
from whichlayers.options import CacheFolder, StoreFolder

if TYPE_CHECKING:
    from engine.store import Store
    from engine.studies import StudyRow


def studies(
    store: StoreFolder = "results",
    archived: Annotated[bool, typer.Option("--archived", help="Those that were archived.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List studies with state, progress, size on disk and last change."""
    from engine.store import Store
    from engine.studies import study_rows

    rows = study_rows(Store.at(store), archived=archived)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=1))
        return
    if not rows:
        typer.echo(f"no {'archived ' * archived}study in {store}", err=True)
    for row in rows:
        typer.echo(line(row))


def line(row: "StudyRow") -> str:
    """`name: running, 3/40 trials, 1 failed, 12 MB, 2026-01-01 10:00 UTC`."""
    from dashboard.figures.answer import duration

    words = {"failed": row.failed, "stopped by hand": row.cancelled}
    more = "".join(f", {count} {word}" for word, count in words.items() if count)
    left = f", {duration(row.eta_seconds)} left" if row.eta_seconds else ""
    changed = f", {row.changed[:16].replace('T', ' ')} UTC" if row.changed else ""
    return (
        f"{row.name}: {row.state}, {row.closed}/{row.trials} trials{more}{left}, {megabytes(row.size_bytes)}{changed}"
    )


def megabytes(size: int) -> str:
    """`0.3 MB`, `12 MB`, `1.2 GB`."""
    if size >= 10**9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.1f} MB" if size < 10**7 else f"{size / 1e6:.0f} MB"


def rename(
    study: StudyName,
    to: Annotated[str, typer.Argument(metavar="NAME", help="Its new name.")],
    store: StoreFolder = "results",
) -> None:
    """Give a study another name."""
    from engine.studies import rename as give_name

    give_name(_opened(store, study), study, to)
    typer.echo(f"{study} is {to} now; run it with --name {to}")


def archive(study: StudyName, store: StoreFolder = "results") -> None:
    """Keep a study, but show it nowhere and refuse to run it."""
    from engine.studies import archive as put_away

    put_away(_opened(store, study), study)
    typer.echo(f"{study} is archived; whichlayers unarchive {study} brings it back")


def unarchive(study: StudyName, store: StoreFolder = "results") -> None:
    """Show an archived study again."""
    from engine.studies import unarchive as bring_back

    bring_back(_opened(store, study), study)
    typer.echo(f"{study} is listed again")


def delete(
    study: StudyName,
    store: StoreFolder = "results",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a study with all its results and weights, after saying what goes and asking."""
    from engine.studies import contents
    from engine.studies import delete as remove

    kept = _opened(store, study)
    found = contents(kept, study)
    typer.echo(f"{study} in {kept.files.root} holds:")
    for what, (files, size) in found.items():
        typer.echo(f"  {what}: {files} file{'s' * (files > 1)}, {megabytes(size)}")
    if not yes and not typer.confirm("Delete it for good?"):
        typer.echo("Nothing was deleted.")
        return
    remove(kept, study)
    typer.echo(f"{study} is deleted. Decoded images and start weights in the cache stay.")


def export(
    study: StudyName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Zip file to make.")],
    store: StoreFolder = "results",
    images: Annotated[
        bool, typer.Option("--with-images", help="Put the decoded images in, too: mind who may see them.")
    ] = False,
    cache: CacheFolder = None,
) -> None:
    """Write a study into one file that `import` reads. Image names, predicted masks and weights are in it."""
    from engine.studies import pack

    size = pack(_opened(store, study), study, file, cache=_cache(cache) if images else None)
    held = "its decoded images are in it" if images else "its images are not in it"
    typer.echo(f"{file} ({megabytes(size)}); {held}")


def import_study(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Zip file that `export` made.")],
    store: StoreFolder = "results",
    name: Annotated[str | None, typer.Option(help="Name of the study here; its own if left out.")] = None,
    cache: CacheFolder = None,
    largest_gb: Annotated[float, typer.Option("--largest", min=0.001, help="Unpack at most so many GB.")] = 50.0,
) -> None:
    """Take in a study that was exported. Nothing is written elsewhere, and nothing in it is executed."""
    from engine.store import Store
    from engine.studies import unpack

    found = unpack(Store.at(store), file, name=name, cache=_cache(cache), largest=int(largest_gb * 1e9))
    for note in found.notes:
        typer.echo(note)
    typer.echo(f"{found.study}: {found.files} files, {megabytes(found.size_bytes)}")


def _cache(folder: Path | None) -> Path:
    return folder if folder is not None else platformdirs.user_cache_path("whichlayers")


def _opened(store: str, study: str) -> "Store":
    from engine.store import Store

    kept = Store.at(store)
    require_study(kept, study)
    return kept
