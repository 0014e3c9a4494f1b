"""The Gradio program: a frame goes in, what a trained trial sees in it comes out: an outline, or classes."""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path
from typing import Any

import fastapi
import gradio as gr
from gradio.utils import get_upload_folder

from dashboard import live_words
from dashboard.inference_worker import InferenceWorker, shared_worker
from dashboard.live_look import CSS, KEEP_IN_ADDRESS, theme
from dashboard.own_files import OwnFilesOnly
from dashboard.trained_trials import TrainedStudies
from engine.errors import DataError, WhichLayersError
from engine.store import Store

MAX_FILE = "20mb"
"""Largest file that is taken."""

REFRESH_SECONDS = 10
"""How often an open page looks for trials that finished since."""

KEEP_SECONDS = 3600
"""Frames and outlines are deleted this long after they came, and when the server stops."""

NOT_DIAGNOSIS = "For research, not for diagnosis."


def build(store_root: str, cache: Path) -> fastapi.FastAPI:
    """The Live program on the studies under `store_root`, to be mounted at any path.

    Uploaded frames and drawn outlines lie under `cache` for an hour. The program's lifespan must be entered by
    the program that mounts it: it ends the inference process.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("GRADIO_TEMP_DIR", str(cache / "live"))
    worker = shared_worker(store_root, cache)

    @asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            worker.close()

    blocks = _page(TrainedStudies(Store.at(store_root)), worker)
    # Gradio checks where a named file lies only in programs that it started itself.
    blocks.has_launched = True
    program: fastapi.FastAPI = gr.mount_gradio_app(
        fastapi.FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None),
        blocks,
        path="/",
        theme=theme(),
        css=CSS,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        max_file_size=MAX_FILE,
        show_error=True,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )
    program.add_middleware(OwnFilesOnly)
    return program


def _page(studies: TrainedStudies, worker: InferenceWorker) -> gr.Blocks:
    with gr.Blocks(title="Live · WhichLayers", analytics_enabled=False, delete_cache=(600, KEEP_SECONDS)) as blocks:
        nothing = gr.Markdown(visible=False, elem_id="nothing-trained")
        with gr.Column(visible=False) as working:
            with gr.Row(equal_height=True):
                study = gr.Dropdown(label="Study", choices=[], scale=1, min_width=180, elem_id="study")
                trial = gr.Dropdown(
                    label="Trained trial: most images first, then best validation", choices=[], scale=3, elem_id="trial"
                )
                scanner = gr.Dropdown(label="Scanner of the frame", choices=[], visible=False, elem_id="scanner")
            about = gr.HTML(elem_id="about")
            with gr.Row(equal_height=True):
                frame = gr.Image(
                    label="Frame (PNG, JPEG)",
                    sources=["upload", "webcam", "clipboard"],
                    webcam_options=gr.WebcamOptions(mirror=False),
                    buttons=[],
                    height=400,
                    elem_id="frame",
                )
                outlined = gr.Image(
                    label="Outline",
                    format="png",
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    height=400,
                    elem_id="outlined",
                )
                classes = gr.HTML(visible=False, elem_id="classes")
            with gr.Row(equal_height=True):
                figures = gr.HTML(live_words.hint(), elem_id="figures")
                mask = gr.DownloadButton(
                    "Mask (PNG)", interactive=False, size="sm", scale=0, min_width=140, elem_id="mask"
                )
        gr.HTML(f"<p>{NOT_DIAGNOSIS} Frames stay on this server and are deleted after an hour.</p>", elem_id="footer")

        choices = [nothing, working, study, trial, about, scanner, outlined, mask, classes]

        def open_page(request: gr.Request) -> list[Any]:
            wanted = request.query_params
            return refresh(wanted.get("study"), wanted.get("trial"))

        def refresh(
            chosen_study: str | None, chosen_trial: str | None = None, chosen_scanner: str | None = None
        ) -> list[Any]:
            return _choices(studies, chosen_study, chosen_trial, chosen_scanner)

        def look_again(
            chosen_study: str | None, chosen_trial: str | None, chosen_scanner: str | None, known: list[Any]
        ) -> list[Any]:
            seen = studies.seen()
            if seen == known:
                return [seen, *[gr.skip()] * len(choices)]
            return [seen, *refresh(chosen_study, chosen_trial, chosen_scanner)]

        def pick(chosen_study: str | None, chosen_trial: str | None) -> None:
            if chosen_study and chosen_trial:
                worker.warm(chosen_study, chosen_trial)

        def predict(
            chosen_study: str | None, chosen_trial: str | None, uploaded: Any, chosen_scanner: str | None = None
        ) -> tuple[Any, ...]:
            nothing_to_save = gr.DownloadButton(value=None, interactive=False)
            try:
                task = studies.task(chosen_study) if chosen_study else "segmentation"
                if not uploaded:
                    return None, live_words.hint(task), nothing_to_save, ""
                if not chosen_study or not chosen_trial:
                    raise DataError("no trial chosen; choose one above")
                if task == "classification":
                    said = worker.classify(chosen_study, chosen_trial, _content(uploaded), chosen_scanner or "")
                    return None, live_words.class_figures(said), nothing_to_save, live_words.classes(said)
                answer = worker.predict(chosen_study, chosen_trial, _content(uploaded))
            except WhichLayersError as error:
                return None, live_words.problem(error), nothing_to_save, ""
            folder = _own_folder()
            (folder / "outline.png").write_bytes(answer.outlined)
            (folder / "mask.png").write_bytes(answer.mask)
            return (
                str(folder / "outline.png"),
                live_words.figures(answer),
                gr.DownloadButton(value=str(folder / "mask.png"), interactive=True),
                "",
            )

        def tell(chosen_study: str | None, chosen_trial: str | None) -> str:
            return _about(studies, chosen_study, chosen_trial)

        # Values come as the page sent them (`preprocess` off): choices change while studies run, and our own
        # reader says what is wrong with a file.
        quiet: dict[str, Any] = {
            "show_progress": "hidden",
            "queue": False,
            "preprocess": False,
            "api_visibility": "private",
        }
        seen = gr.State([])
        blocks.load(open_page, None, choices, **quiet)
        gr.Timer(REFRESH_SECONDS).tick(look_again, [study, trial, scanner, seen], [seen, *choices], **quiet)
        study.input(refresh, [study], choices, **quiet)
        trial.change(pick, [study, trial], None, **quiet)
        trial.change(tell, [study, trial], about, **quiet)
        trial.input(None, [study, trial], None, js=KEEP_IN_ADDRESS, api_visibility="private")
        gr.on(
            [frame.change, trial.change, scanner.input],
            predict,
            [study, trial, frame, scanner],
            [outlined, figures, mask, classes],
            preprocess=False,
            trigger_mode="always_last",
            concurrency_limit=4,
            show_progress="minimal",
            show_progress_on=[outlined, classes],
            api_name="predict",
        )
    return blocks


def _choices(
    studies: TrainedStudies, chosen_study: str | None, chosen_trial: str | None, chosen_scanner: str | None = None
) -> list[Any]:
    """Updates of: what to do where nothing is trained, the page, studies, trials, provenance, scanners, and of where
    outline, mask and classes stand.
    """
    try:
        names = studies.names()
        if not names:
            return [gr.Markdown(studies.nothing_yet(), visible=True), gr.Column(visible=False), *[gr.skip()] * 7]
        study = chosen_study if chosen_study in names else names[0]
        trials, scanners, task = studies.trials(study), studies.scanners(study), studies.task(study)
    except WhichLayersError as error:
        return [gr.Markdown(str(error), visible=True), gr.Column(visible=False), *[gr.skip()] * 7]
    ids = [trial_id for _, trial_id in trials]
    trial = chosen_trial if chosen_trial in ids else ids[0]
    return [
        gr.Markdown(visible=False),
        gr.Column(visible=True),
        gr.Dropdown(choices=names, value=study),
        gr.Dropdown(choices=trials, value=trial),
        _about(studies, study, trial),
        gr.Dropdown(
            choices=scanners,
            value=chosen_scanner if chosen_scanner in scanners else (scanners[0] if scanners else None),
            visible=bool(scanners),
        ),
        gr.Image(visible=task == "segmentation"),
        gr.DownloadButton(visible=task == "segmentation"),
        gr.HTML(visible=task == "classification"),
    ]


def _about(studies: TrainedStudies, study: str | None, trial: str | None) -> str:
    if not study or not trial:
        return ""
    try:
        return f"<p>{escape(studies.provenance(study, trial))}</p>"
    except WhichLayersError as error:
        return live_words.problem(error)


def _content(uploaded: Any) -> bytes:
    """The bytes of the uploaded file. Raises DataError for anything that was not uploaded, or is gone."""
    folder = Path(get_upload_folder()).resolve()
    path = uploaded.get("path") if isinstance(uploaded, dict) else None
    # A request can name any path: only what this server took as an upload is read.
    if not isinstance(path, str) or not Path(path).resolve().is_relative_to(folder):
        raise DataError("not an uploaded frame; other files are not read: upload it first")
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise DataError("this frame was deleted after an hour; drop it again") from None


def _own_folder() -> Path:
    """A new folder for one answer: equal outlines of two users under one name gave cut downloads."""
    folder = Path(get_upload_folder()) / uuid.uuid4().hex
    folder.mkdir(parents=True)
    return folder
