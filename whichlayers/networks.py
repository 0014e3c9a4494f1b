"""The commands that use a trained network: `predict` asks it about files, `model` writes it as a file of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from whichlayers.looking import StudyName, require_study
from whichlayers.options import CacheFolder, OwnNetworks, StoreFolder

if TYPE_CHECKING:
    from engine.prediction_files import Done

SOME_FAILED = 2
"""Exit code where a file could not be read."""
NOT_DIAGNOSIS = "For research, not for diagnosis."

TrialName = Annotated[
    str, typer.Option("--trial", help="Its id, the first letters of one, or best (by its validation images).")
]


def predict(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures, clips, DICOM; folders of them.")],
    study: Annotated[str, typer.Option("--study", help="Name of a study.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for masks, overlays and the table; it is made.")],
    trial: TrialName = "best",
    store: StoreFolder = "results",
    cache: CacheFolder = None,
    scanner: Annotated[
        str, typer.Option(help="Scanner of the files, where the study cuts another square for each.")
    ] = "",
    overlay: Annotated[str, typer.Option(help="What is drawn over frames: outline, probability, both.")] = "outline",
    own_network: OwnNetworks = None,
) -> None:
    """Let a trained network outline, or classify, what is in files: masks, overlays and predictions.csv."""
    import platformdirs

    from engine.errors import DataError
    from engine.neighbours import reference_of
    from engine.overlays import OVERLAYS, Overlay
    from engine.predicting import load_trial
    from engine.prediction_files import find_files, write_predictions
    from engine.store import Store

    if overlay not in OVERLAYS:
        raise typer.BadParameter(f"'{overlay}' is none of {', '.join(OVERLAYS)}", param_hint="--overlay")
    kept = Store.at(store)
    require_study(kept, study)
    found = find_files(files, leave_out=out)
    folder = cache or platformdirs.user_cache_path("whichlayers")
    network = load_trial(kept, study, trial, cache=folder)
    try:
        reference = reference_of(kept, network, folder)
    except DataError as error:
        reference = None
        typer.echo(f"frames are not compared with the training images: {' '.join(error.problems)}")
    kind: Overlay = next(one for one in OVERLAYS if one == overlay)
    with _Shown() as shown:
        written = write_predictions(
            network, found, out, scanner=scanner, kind=kind, reference=reference, tell=shown.tell
        )
    middle, late = written.milliseconds
    speed = f", {middle:.0f} ms a frame (95 % within {late:.0f})" if written.frames else ""
    typer.echo(
        f"trial {network.model.trial_id[:12]}: {written.frames} frame{'s' * (written.frames != 1)} of {written.files} "
        f"file{'s' * (written.files != 1)}{speed}; {written.table}"
    )
    typer.echo(NOT_DIAGNOSIS)
    if written.problems:
        typer.echo(f"{len(written.problems)} of {len(found)} files could not be read to their end", err=True)
        raise typer.Exit(SOME_FAILED)


def model(
    study: StudyName,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to make: .safetensors, .onnx or .pt2 (torch.export).")],
    trial: Annotated[
        str, typer.Argument(metavar="[TRIAL]", help="Its id, the first letters of one, or best (by validation).")
    ] = "best",
    store: StoreFolder = "results",
    cache: CacheFolder = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, help="Largest difference of a probability from the network that is let pass.")
    ] = 1e-3,
    own_network: OwnNetworks = None,
) -> None:
    """Write a trained network as one file, with a model card beside it; compared on test images first."""
    import platformdirs

    from engine.exporting import export
    from engine.predicting import load_trial
    from engine.store import Store

    kept = Store.at(store)
    require_study(kept, study)
    folder = cache or platformdirs.user_cache_path("whichlayers")
    network = load_trial(kept, study, trial, cache=folder, device="cpu")
    made = export(kept, network, out, cache=folder, tolerance=tolerance)
    typer.echo(
        f"{made.file}: trial {network.model.trial_id[:12]}, largest difference of a probability from the network "
        f"{made.difference:.2g} on {made.images} {made.on}"
    )
    typer.echo(f"{made.card}: its card. {NOT_DIAGNOSIS}")


class _Shown:
    """A bar on a terminal, what was kept of each file, and a line per file that went wrong."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._files = self._progress.add_task("files", total=None)
        self._frames = self._progress.add_task("frames", total=None)

    def tell(self, done: "Done") -> None:
        if done.problem:
            self._progress.console.print(done.problem, markup=False, highlight=False, soft_wrap=True)
        if done.kept:
            typer.echo(f"{done.file}: {' '.join(done.kept)}")
        self._progress.update(self._files, completed=done.files, total=done.of)
        self._progress.update(self._frames, completed=done.frame, total=done.frames, description=done.file[-40:])

    def __enter__(self) -> "_Shown":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
