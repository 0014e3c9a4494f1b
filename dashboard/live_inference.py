"""The Gradio program: a frame goes in, the outline that a trained trial draws over it comes out."""

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

from dashboard.inference_worker import Answer, InferenceWorker, shared_worker
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
    worker = shared_worker(store_root)

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
        theme=_theme(),
        css=_CSS,
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
            with gr.Row(equal_height=True):
                figures = gr.HTML(_hint(), elem_id="figures")
                mask = gr.DownloadButton(
                    "Mask (PNG)", interactive=False, size="sm", scale=0, min_width=140, elem_id="mask"
                )
        gr.HTML(f"<p>{NOT_DIAGNOSIS} Frames stay on this server and are deleted after an hour.</p>", elem_id="footer")

        choices = [nothing, working, study, trial, about]

        def open_page(request: gr.Request) -> list[Any]:
            wanted = request.query_params
            return refresh(wanted.get("study"), wanted.get("trial"))

        def refresh(chosen_study: str | None, chosen_trial: str | None = None) -> list[Any]:
            return _choices(studies, chosen_study, chosen_trial)

        def look_again(chosen_study: str | None, chosen_trial: str | None, known: list[Any]) -> list[Any]:
            seen = studies.seen()
            return [seen, *([gr.skip()] * len(choices) if seen == known else refresh(chosen_study, chosen_trial))]

        def pick(chosen_study: str | None, chosen_trial: str | None) -> None:
            if chosen_study and chosen_trial:
                worker.warm(chosen_study, chosen_trial)

        def predict(chosen_study: str | None, chosen_trial: str | None, uploaded: Any) -> tuple[Any, ...]:
            if not uploaded:
                return None, _hint(), gr.DownloadButton(value=None, interactive=False)
            try:
                if not chosen_study or not chosen_trial:
                    raise DataError("no trial chosen; choose one above")
                answer = worker.predict(chosen_study, chosen_trial, _content(uploaded))
            except WhichLayersError as error:
                return None, _problem(error), gr.DownloadButton(value=None, interactive=False)
            folder = _own_folder()
            (folder / "outline.png").write_bytes(answer.outlined)
            (folder / "mask.png").write_bytes(answer.mask)
            return (
                str(folder / "outline.png"),
                _figures(answer),
                gr.DownloadButton(value=str(folder / "mask.png"), interactive=True),
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
        gr.Timer(REFRESH_SECONDS).tick(look_again, [study, trial, seen], [seen, *choices], **quiet)
        study.input(refresh, [study], choices, **quiet)
        trial.change(pick, [study, trial], None, **quiet)
        trial.change(tell, [study, trial], about, **quiet)
        trial.input(None, [study, trial], None, js=_KEEP_IN_ADDRESS, api_visibility="private")
        gr.on(
            [frame.change, trial.change],
            predict,
            [study, trial, frame],
            [outlined, figures, mask],
            preprocess=False,
            trigger_mode="always_last",
            concurrency_limit=4,
            show_progress="minimal",
            show_progress_on=[outlined],
            api_name="predict",
        )
    return blocks


def _choices(studies: TrainedStudies, chosen_study: str | None, chosen_trial: str | None) -> list[Any]:
    """Updates of: what to do where nothing is trained, the page, studies, trials, provenance."""
    try:
        names = studies.names()
        if not names:
            return [gr.Markdown(studies.nothing_yet(), visible=True), gr.Column(visible=False), *[gr.skip()] * 3]
        study = chosen_study if chosen_study in names else names[0]
        trials = studies.trials(study)
    except WhichLayersError as error:
        return [gr.Markdown(str(error), visible=True), gr.Column(visible=False), *[gr.skip()] * 3]
    ids = [trial_id for _, trial_id in trials]
    trial = chosen_trial if chosen_trial in ids else ids[0]
    return [
        gr.Markdown(visible=False),
        gr.Column(visible=True),
        gr.Dropdown(choices=names, value=study),
        gr.Dropdown(choices=trials, value=trial),
        _about(studies, study, trial),
    ]


def _about(studies: TrainedStudies, study: str | None, trial: str | None) -> str:
    if not study or not trial:
        return ""
    try:
        return f"<p>{escape(studies.provenance(study, trial))}</p>"
    except WhichLayersError as error:
        return _problem(error)


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


def _hint() -> str:
    return '<p class="hint">Drop a frame, paste one, or take a picture: the outline appears beside it.</p>'


def _problem(error: WhichLayersError) -> str:
    lines = "<br>".join(escape(line[:1].upper() + line[1:]) for line in error.problems)
    return f'<p class="problem" role="alert">{lines}</p>'


def _figures(answer: Answer) -> str:
    percent = 100 * answer.area_pixels / (answer.height * answer.width)
    steps = answer.milliseconds
    parts = " · ".join(f"{step} {value:.0f}" for step, value in steps.items())
    note = "" if answer.area_pixels else '<p class="hint">The network sees no structure in this frame.</p>'
    if answer.scaled_range is not None:
        low, high = answer.scaled_range
        note += f'<p class="hint">The frame is deeper than 8 bits: its values {low:g} to {high:g} became 0 to 255.</p>'
    return (
        '<dl class="figures">'
        f"<div><dt>Area</dt><dd><b>{answer.area_pixels:,}</b> pixels</dd>"
        f"<dd>{percent:.1f} % of {answer.width} × {answer.height}</dd></div>"
        f"<div><dt>Time</dt><dd><b>{sum(steps.values()):.0f}</b> ms</dd><dd>{parts}</dd></div>"
        f"</dl>{note}"
    )


def _theme() -> gr.themes.Base:
    """The colours of the pages around it; fonts of the reader's own system, so nothing is fetched."""
    light = {
        "body_background_fill": "#ffffff",
        "body_text_color": "#1f2933",
        "body_text_color_subdued": "#5b6770",
        "block_label_text_color": "#5b6770",
        "block_border_color": "#d9dee2",
        "input_background_fill": "#f6f7f8",
        "loader_color": "#0b6e8a",
        "color_accent": "#0b6e8a",
        "button_secondary_background_fill": "#f6f7f8",
        "button_secondary_border_color": "#d9dee2",
    }
    dark = {
        "body_background_fill": "#14181c",
        "background_fill_primary": "#14181c",
        "background_fill_secondary": "#1d2328",
        "body_text_color": "#e6eaee",
        "body_text_color_subdued": "#9aa7b1",
        "block_label_text_color": "#9aa7b1",
        "block_label_background_fill": "#1d2328",
        "block_background_fill": "#1a1f24",
        "block_border_color": "#313a41",
        "border_color_primary": "#313a41",
        "input_background_fill": "#242b31",
        "button_secondary_background_fill": "#242b31",
        "button_secondary_border_color": "#313a41",
    }
    return gr.themes.Base(
        primary_hue=gr.themes.colors.cyan,
        neutral_hue=gr.themes.colors.slate,
        spacing_size="sm",
        radius_size="md",
        font=["Source Sans", "ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(**light, **{f"{name}_dark": colour for name, colour in dark.items()})


_KEEP_IN_ADDRESS = """(study, trial) => {
  // The choice stays in the address of the program and of the page around it, so that a reload finds it again.
  for (const place of [window, window.parent]) {
    try {
      const address = new URL(place.location.href);
      address.searchParams.set("study", study);
      address.searchParams.set("trial", trial);
      place.history.replaceState(place.history.state, "", address);
    } catch (otherOrigin) { /* a page of another host shows the program: its address is its own */ }
  }
}"""

_CSS = """
.gradio-container { max-width: none !important; padding: 4px 2px !important; }
main.fillable, .app { max-width: none !important; padding: 0 !important; }
#about p, #footer p, .hint { color: var(--body-text-color-subdued); font-size: 14px; margin: 2px 4px; }
.problem { border-left: 3px solid #d64545; padding: 6px 10px; margin: 4px; overflow-wrap: anywhere; }
.figures { display: flex; gap: 40px; margin: 4px; }
.figures dt { color: var(--body-text-color-subdued); font-size: 13px; }
.figures dd { margin: 0; font-size: 14px; color: var(--body-text-color-subdued); }
.figures dd b { font-size: 26px; font-weight: 600; color: var(--body-text-color); font-variant-numeric: tabular-nums; }
#about, #figures, #footer { padding: 0 !important; }
#frame img, #outlined img { width: 100%; height: 100%; object-fit: contain; }
#mask { align-self: start; }
/* As tall as the tools under the frame, so that frame and outline are shown in one size. */
#outlined .image-container { padding-bottom: 41px; }
footer { display: none !important; }
"""
