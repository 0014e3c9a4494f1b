"""The command line: check data, run studies, serve the dashboard. Heavy libraries load with their command."""

import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import platformdirs
import typer
from rich.console import Console

from engine import permission
from engine.architectures import CLASSIFIERS, UNITS, default_classes, default_width, strategy_table
from engine.errors import DataError, StoreError, StudyFileError, WhichLayersError
from whichlayers.keeping import archive, delete, export, import_study, rename, studies, unarchive
from whichlayers.looking import report, results, table
from whichlayers.networks import model, predict
from whichlayers.options import CacheFolder, Host, Log, OwnNetworks, Port, Prefix, SignInFile, StoreFolder
from whichlayers.server_process import dashboard_beside, end_with_input
from whichlayers.steering import retry, skip, stop, trials, watch, workers
from whichlayers.steps import StepsInOrder, conditions, steps_in_order

if TYPE_CHECKING:
    from engine.study_settings import Study

app = typer.Typer(
    name="whichlayers",
    help="Which layers of a trained network should be fine-tuned for another kind of image?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
CRASHED = 1
USER_MISTAKE = 2
INTERRUPTED = 130
SomeStudy = Annotated[
    Path, typer.Argument(metavar="STUDY.yaml", help="Study file, or the name of a study that the store has.")
]


@app.command()
def strategies(
    model: Annotated[str, typer.Option(help=f"Network: {', '.join(UNITS)}.")] = "unet",
    width: Annotated[
        int | None, typer.Option(min=1, help="Filters of the first layer; the paper's if left out.")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, help="Classes (of the U-Net: structures); the paper's if left out.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """List the strategies of a network with how many parameters each one trains."""
    rows = strategy_table(model, width, classes)
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    from rich.table import Table

    outputs = f", {classes or default_classes(model)} classes" if model in CLASSIFIERS else ""
    title = f"{model}, width {width or default_width(model)}{outputs}: {rows[0]['total_parameters']:,} parameters"
    drawn = Table(title=title)
    drawn.add_column("strategy")
    drawn.add_column("trainable parameters", justify="right")
    drawn.add_column("part", justify="right")
    for row in rows:
        count, part = row["trainable_parameters"], row["fraction"]
        shown = ("counted when built", "–") if count is None or part is None else (f"{count:,}", f"{part:.1%}")
        drawn.add_row(str(row["strategy"]), shown[0], shown[1].replace("%", " %"))
    Console().print(drawn)


@app.command(cls=StepsInOrder)
def check(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder of images, with masks or classes.")],
    mask: Annotated[
        list[str] | None,
        typer.Option(help="Manifest column whose masks are learned, or NAME=COLUMN; again for several structures."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep only rows where COLUMN=VALUE[,VALUE]; may be given again. 'COLUMN=\"A, B\"' is one value."
        ),
    ] = None,
    labels: Annotated[bool, typer.Option("--labels", help="Look at classes of images in place of masks.")] = False,
    label: Annotated[str | None, typer.Option(help="Manifest column that names the class, with --labels.")] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Step of the funnel: keep COLUMN=VALUE[,VALUE]; steps go in the order given."),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(help="Step of the funnel: drop COLUMN=VALUE[,VALUE]; as --keep.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Look through a folder: counts, sizes, masks or classes, near-duplicates, every problem with its remedy."""
    from engine.datasets.check import check as look_through

    if mask and (labels or label):
        raise typer.BadParameter("classes need no masks; leave out one of --mask, --labels", param_hint="--mask")
    report = look_through(
        folder,
        mask=mask or "mask",
        label=label or ("label" if labels else None),
        where=_conditions(where or []),
        steps=steps_in_order(context, keep=keep or [], drop=drop or []),
    )
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=1))
    else:
        report.render(Console())
    if report.problems:
        raise typer.Exit(USER_MISTAKE)


@app.command()
def run(
    study_file: SomeStudy,
    data: Annotated[Path | None, typer.Option(help="Folder of images; takes the place of the study file's.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study; takes the place of the study file's.")] = None,
    store: StoreFolder = "results",
    cache: CacheFolder = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the trials, and what they will take here; run nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --dry-run, for programs.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait where another run of the study is at work.")] = False,
    serve_too: Annotated[
        bool, typer.Option("--serve", help="Open the dashboard at once and keep it afterwards.")
    ] = False,
    port: Port = 8501,
    address: Annotated[
        str | None,
        typer.Option(
            envvar="RAY_ADDRESS",
            help="Ray cluster to run on: auto, HOST:PORT or ray://HOST:PORT; 'local' or nothing: this machine.",
        ),
    ] = None,
    own_network: OwnNetworks = None,
) -> None:
    """Run what is missing of a study. Ctrl-C stops; the same command goes on from there."""
    begun = time.monotonic()
    study, kept = _study(study_file, data, name, store), _cache(cache)
    _check_writable(kept, "--cache", DataError)
    if as_json and not dry_run:
        raise typer.BadParameter("only a plan can be shown so; add --dry-run", param_hint="--json")
    if dry_run:
        from whichlayers.planning import show_plan

        show_plan(study, kept, store, as_json=as_json)
        return
    if "://" not in store:
        _check_writable(Path(store), "--store", StoreError)
    with ExitStack() as stack:
        server = stack.enter_context(dashboard_beside(store, kept, port)) if serve_too else None
        try:
            if wait:
                _wait_for_others(study.name, store)
            failed = _run(study, store, kept, begun, address)
        except KeyboardInterrupt:
            typer.echo("Stopped. What was finished is stored; the same command goes on from there.", err=True)
            raise typer.Exit(INTERRUPTED) from None
        if server is not None:
            typer.echo("The dashboard stays open; Ctrl-C closes it.")
            with suppress(KeyboardInterrupt):
                server.wait()
    if failed:
        raise typer.Exit(CRASHED)


@app.command()
def preview(
    study_file: SomeStudy,
    data: Annotated[Path | None, typer.Option(help="Folder of images; takes the place of the study file's.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the study; takes the place of the study file's.")] = None,
    fraction: Annotated[
        float | None, typer.Option(help="Part of the images, percent; the study's first if left out.")
    ] = None,
    store: StoreFolder = "results",
    cache: CacheFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    own_network: OwnNetworks = None,
) -> None:
    """Rank the units by their gradients on training images, in about a minute: a hint before hours of training."""
    from whichlayers.planning import show_preview

    study, kept = _study(study_file, data, name, store), _cache(cache)
    _check_writable(kept, "--cache", DataError)
    show_preview(study, kept, store, fraction=fraction, as_json=as_json)


for _command in (results, table, report):
    app.command()(_command)
_STEERING: tuple[Callable[..., None], ...] = (watch, stop, skip, retry, workers, trials)
_KEEPING: tuple[Callable[..., None], ...] = (studies, rename, archive, unarchive, delete, export)
_USING: tuple[Callable[..., None], ...] = (predict, model)
for _other in _STEERING + _KEEPING + _USING:
    app.command()(_other)
app.command(name="import")(import_study)


@app.command()
def health(
    port: Port = 8501, prefix: Prefix = "", host: Annotated[str, typer.Option(help="Address to ask.")] = "127.0.0.1"
) -> None:
    """Tell whether a dashboard answers on a port of this machine: exit code 0 if so."""
    from dashboard.health import is_healthy

    if not is_healthy(host, port, prefix):
        typer.echo(f"no dashboard answers on {host}:{port}{prefix}", err=True)
        raise typer.Exit(1)
    typer.echo("ok")


@app.command()
def password(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File for 'serve --sign-in'.")] = Path("sign-in.yaml"),
) -> None:
    """Make the password that people sign in with: asks for it twice, or reads a line of standard input."""
    from dashboard.sign_in.settings import write_password

    if sys.stdin.isatty():
        chosen = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        chosen = sys.stdin.readline().rstrip("\r\n")
    write_password(file, chosen)
    typer.echo(f"{file}: holds the password's scrypt hash. Use it: whichlayers serve --sign-in {file}")


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = 8501,
    prefix: Prefix = "",
    store: StoreFolder = "results",
    cache: CacheFolder = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = False,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="A name under which a reverse proxy serves it; may be given several times.")
    ] = None,
    sign_in: SignInFile = None,
    open_to_everybody: Annotated[
        bool, typer.Option("--open-to-everybody", help="Let everyone in who reaches an address of --host.")
    ] = False,
    log: Log = "text",
    own_network: OwnNetworks = None,
    until_end: Annotated[bool, typer.Option("--end-with-input", hidden=True)] = False,
) -> None:
    """Serve the dashboard: results, images and live inference on one port."""
    if until_end:
        end_with_input()
    _at_end(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))  # the server listens to SIGTERM alone
    _at_end(signal.SIGTERM, _leave)  # and raises it again once it has ended
    from dashboard.server import serve as serve_dashboard
    from engine.store import Store

    if not Store.at(store).studies():  # raises where the store is a file
        typer.echo(f"no study in {store} yet: the pages show the published table until one runs", err=True)
    serve_dashboard(
        host=host, port=port, prefix=prefix, store=store, cache=_cache(cache), open_browser=browser,
        hosts=allowed_host or (), sign_in=sign_in, open_to_everybody=open_to_everybody, log=log,
    )  # fmt: skip


def main() -> NoReturn:
    """Run the command line: 0 done, 1 trials crashed, 2 the user's mistake (a line per problem), 130 stopped."""
    _at_end(signal.SIGTERM, _interrupt)
    _at_end(signal.SIGHUP, _interrupt)
    try:
        app()
    except WhichLayersError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        sys.exit(USER_MISTAKE)
    sys.exit(0)


def _at_end(ending: signal.Signals, handler: Callable[[int, FrameType | None], None]) -> None:
    """Let `handler` answer a signal, but not one that is ignored, as a closed terminal's is under nohup."""
    if signal.getsignal(ending) is not signal.SIG_IGN:
        signal.signal(ending, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    # Not by way of SIGINT, which a shell's background jobs ignore.
    raise KeyboardInterrupt


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)  # told to stop, and stopped


def _study(study_file: Path, data: Path | None, name: str | None, store: str) -> "Study":
    """The study file with what the command line puts in its place, under the same checks.

    The question, the name of the images and the published ones that they stand beside are kept only where the
    file leaves its folder to --data: elsewhere they belong to the images that --data replaces.
    """
    from engine.config import check

    study = _read(study_file, store)
    if data is not None:
        settings = replace(study.data, kind="folder", folder=str(data))
        if study.data.kind != "folder" or study.data.folder is not None:
            settings = replace(settings, name=None, compare_with=None)
            study = replace(study, question="")
        study = replace(study, data=settings)
    if name is not None:
        study = replace(study, name=name)
    if mistakes := check(study):
        raise StudyFileError([f"{study_file}, with the options given: {mistake.text}" for mistake in mistakes])
    places = [(f"start_weights.{start.kind}", getattr(start, start.kind, None)) for start in study.start_weights]
    for key, source in [*places, ("encoder.weights", study.encoder.weights)]:
        if source is not None and not Path(source).expanduser().exists():
            raise StudyFileError(f"{study_file}: '{key}' is '{source}', which does not exist; check the path")
    if study.data.kind == "folder" and study.data.folder is None:
        raise StudyFileError(f"{study_file}: no images named; write 'data: {{folder: ...}}' or give --data FOLDER")
    return study


def _read(study_file: Path, store: str) -> "Study":
    """The study of a file, or of the store where there is no such file.

    A file on the command line allows the network of one's own that it names; one that lies in the store does not.
    """
    from engine.config import load, loads

    if study_file.suffix in (".yaml", ".yml") or len(study_file.parts) != 1 or study_file.exists():
        study = load(study_file)
        if ":" in study.model.name and Path(store).resolve() not in study_file.resolve().parents:
            permission.allow([study.model.name])
        return study
    from engine.store import Store

    kept = Store.at(store)
    if not kept.has_study(study_file.name):
        known = ", ".join(kept.studies()) or "none yet"
        raise StudyFileError(f"{study_file}: no such file, and no study of this name in {store}; there: {known}")
    return loads(kept.study_text(study_file.name), source=f"{store}/{study_file}/study.yaml")


def _run(study: "Study", store: str, cache: Path, begun: float, address: str | None) -> int:
    """Runs the study and prints its answer; gives the number of trials that crashed."""
    from dashboard.figures.answer import duration
    from engine.combinations import caveats
    from engine.search.early import early_ray
    from engine.store import Store
    from whichlayers.progress import show_progress
    from whichlayers.report import print_report

    for caveat in caveats(study):
        typer.echo(caveat, err=True)
    results = Store.at(store)
    with early_ray(study, results, address):
        from engine.search.afar import run_at

        with show_progress(study.name) as listen:
            done = run_at(study, results, cache, address, listen)
        seconds = time.monotonic() - begun
        print_report(results, study.name, Console())
    serve_it = "whichlayers serve" + ("" if store == "results" else f" --store {store}")
    failed = done["failed"]
    stopped = "".join(
        f"{done[key]} {word}, "
        for key, word in (("cancelled", "stopped by hand"), ("stopped_early", "stopped early"))
        if done.get(key)
    )
    typer.echo(
        f"{done['closed']} of {done['trials']} trials done, {failed} failed, {stopped}"
        f"in {duration(seconds)}. Look at them: {serve_it}"
    )
    if failed:
        typer.echo(
            f"{failed} of {done['trials']} trials crashed: tracebacks stand under 'Crashed attempts' in {serve_it}; "
            "the same command tries them again.",
            err=True,
        )
    return failed


def _wait_for_others(study: str, store: str) -> None:
    """Returns once no other run of the study is at work."""
    from engine.store import Store

    kept, told = Store.at(store), False
    while kept.progress(study)["alive"]:
        if not told:
            typer.echo(f"{study}: another run is at work; this one waits for it", err=True)
        told = True
        time.sleep(1.0)


def _cache(folder: Path | None) -> Path:
    return folder if folder is not None else platformdirs.user_cache_path("whichlayers")


def _check_writable(folder: Path, option: str, error: type[WhichLayersError]) -> None:
    """Tells before any work whether files can be written there. Raises `error` with the remedy."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        raise error(
            f"{option} {folder}: cannot be written ({problem.strerror}); choose another folder with {option}"
        ) from problem


def _conditions(texts: Sequence[str]) -> dict[str, list[str]]:
    """`label=benign,malignant`, or `label=benign` and `label=malignant`, as {"label": ["benign", "malignant"]}."""
    found: dict[str, list[str]] = {}
    for column, values in conditions("where", texts):
        found.setdefault(column, []).extend(values)
    return {column: list(dict.fromkeys(values)) for column, values in found.items()}
