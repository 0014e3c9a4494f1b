"""The Live page: what can be chosen, a picture, a clip or the camera, and what one or two trained trials see in it."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from dashboard.live import programs, words
from dashboard.live.answers import Choice, LiveAnswers, kind_of
from dashboard.live.camera import CAMERA, START
from dashboard.live.look import KEEP_IN_ADDRESS
from dashboard.live.outputs import file_outputs, frame_outputs, neighbour_words, warning
from dashboard.live.player import FOLLOW
from engine.errors import WhichLayersError

NOT_DIAGNOSIS = "For research, not for diagnosis."
OVERLAYS = [("Outline", "outline"), ("Probability", "probability"), ("Both", "both")]
ANY_FILE = "Picture, DICOM, NIfTI, video"


def page(live: LiveAnswers, *, warm: Callable[[str, str], None], refresh_seconds: float) -> gr.Blocks:
    """The page. `warm` has a network loaded while its user looks for a frame."""
    studies = live.studies
    with gr.Blocks(title="Live · WhichLayers", analytics_enabled=False) as blocks:
        nothing = gr.Markdown(visible=False, elem_id="nothing-trained")
        with gr.Column(visible=False) as working:
            with gr.Row(equal_height=True):
                study = gr.Dropdown(label="Study", choices=[], scale=1, min_width=180, elem_id="study")
                trial = gr.Dropdown(
                    label="Trained trial: most images first, then best validation", choices=[], scale=3, elem_id="trial"
                )
                scanner = gr.Dropdown(label="Scanner of the frame", choices=[], visible=False, elem_id="scanner")
            about = gr.HTML(elem_id="about")
            with gr.Row(equal_height=True, elem_id="options"):
                overlay = gr.Radio(
                    OVERLAYS, value="outline", label="Drawn over the frame", scale=1, min_width=260, elem_id="overlay"
                )
                compare = gr.Checkbox(label="Beside a second trial", scale=1, min_width=200, elem_id="compare")
                with gr.Row(visible=False, scale=3) as second:
                    study2 = gr.Dropdown(label="Second study", choices=[], scale=1, min_width=160, elem_id="study2")
                    trial2 = gr.Dropdown(label="Second trial", choices=[], scale=2, elem_id="trial2")
            with gr.Tabs():
                with gr.Tab("Picture"):
                    with gr.Row(equal_height=True):
                        frame = gr.Image(
                            label="Frame (PNG, JPEG)",
                            sources=["upload", "webcam", "clipboard"],
                            webcam_options=gr.WebcamOptions(mirror=False),
                            buttons=[],
                            height=400,
                            elem_id="frame",
                        )
                        outlined, classes = _pane("")
                        with gr.Column(visible=False) as beside:
                            outlined2, classes2 = _pane("2")
                    with gr.Row(equal_height=True):
                        figures = gr.HTML(words.hint(), elem_id="figures")
                        mask = gr.DownloadButton(
                            "Mask (PNG)", interactive=False, size="sm", scale=0, min_width=140, elem_id="mask"
                        )
                    figures2 = gr.HTML(elem_id="figures2")
                    unlike = gr.HTML(elem_id="unlike")
                    near = gr.Checkbox(label="Nearest training images, and how near they are", elem_id="near")
                    among = gr.HTML(elem_id="among")
                with gr.Tab("Clip or DICOM"):
                    with gr.Row():
                        with gr.Column(scale=1, min_width=240):
                            file = gr.File(label=ANY_FILE, height=130, elem_id="file")
                            kept = gr.HTML(elem_id="kept")
                            stop = gr.Button("Stop", size="sm", interactive=False, elem_id="stop")
                        with gr.Column(scale=2):
                            drawn = gr.Gallery(
                                label="Outline", visible=False, columns=2, height=430, object_fit="contain",
                                buttons=["download", "fullscreen"], elem_id="drawn",
                            )  # fmt: skip
                            clip = gr.Video(label="Clip", visible=False, height=430, buttons=[], elem_id="clip")
                    file_unlike = gr.HTML(elem_id="file-unlike")
                    file_figures = gr.HTML(elem_id="file-figures")
                    plot = gr.Plot(show_label=False, visible=False, elem_id="timeline")
                    scrub = gr.HTML(visible=False, elem_id="scrub")
                    with gr.Row():
                        table = gr.DownloadButton("Frames (CSV)", visible=False, size="sm", elem_id="table")
                        video = gr.DownloadButton("Clip (WebM)", visible=False, size="sm", elem_id="video")
                with gr.Tab("Camera or screen"):
                    gr.HTML(CAMERA, elem_id="camera")
            stream_choice = gr.HTML(visible="hidden")
        gr.HTML(f"<p>{NOT_DIAGNOSIS} Frames stay on this server and are deleted after an hour.</p>", elem_id="footer")

        choices = [nothing, working, study, trial, about, scanner, outlined, mask, classes]
        seen, times = gr.State([]), gr.State([])
        one, two = [study, trial], [study2, trial2]

        def open_page(request: gr.Request) -> list[Any]:
            wanted = request.query_params
            return _choices(live, wanted.get("study"), wanted.get("trial"), shown=False)

        def refresh(
            chosen_study: str | None, chosen_trial: str | None = None, chosen_scanner: str | None = None
        ) -> list[Any]:
            return _choices(live, chosen_study, chosen_trial, chosen_scanner, shown=True)

        def look_again(
            chosen_study: str | None,
            chosen_trial: str | None,
            chosen_scanner: str | None,
            known: list[Any],
            request: gr.Request,
        ) -> list[Any]:
            now = studies.seen()
            if now == known:
                return [now, *[gr.skip()] * len(choices)]
            if not chosen_study:  # it may come before the answer to `open_page`
                return [now, *open_page(request)]
            return [now, *refresh(chosen_study, chosen_trial, chosen_scanner)]

        def pick(chosen_study: str | None, chosen_trial: str | None) -> None:
            if chosen_study and chosen_trial:
                warm(chosen_study, chosen_trial)

        def tell(chosen_study: str | None, chosen_trial: str | None) -> str:
            return _about(live, chosen_study, chosen_trial)

        def choose_second(wanted: bool, first: str | None, chosen: str | None) -> list[Any]:
            return [gr.Row(visible=wanted), gr.Column(visible=wanted), *_second(live, wanted, chosen or first)]

        def answer(
            chosen: str | None, chosen_trial: str | None, uploaded: Any, chosen_scanner: str | None, kind: Any,
            wanted: bool, other: str | None, other_trial: str | None, before: list[float],
        ) -> list[Any]:  # fmt: skip
            choice = Choice(study=chosen, trial=chosen_trial)
            first, latest = frame_outputs(live, choice, uploaded, chosen_scanner, kind, before)
            if not wanted:
                return [*first, gr.skip(), "", "", latest]
            other_choice = Choice(study=other, trial=other_trial)
            beside_it, _ = frame_outputs(live, other_choice, uploaded, chosen_scanner, kind, [])
            return [*first, beside_it[0], beside_it[1], beside_it[3], latest]

        def look(
            chosen: str | None, chosen_trial: str | None, uploaded: Any, chosen_scanner: str | None, kind: Any,
            wanted: bool, other: str | None, other_trial: str | None,
        ) -> Iterator[list[Any]]:  # fmt: skip
            looking = [Choice(study=chosen, trial=chosen_trial)]
            looking += [Choice(study=other, trial=other_trial)] if wanted else []
            yield from file_outputs(live, looking, uploaded, chosen_scanner, kind)

        def place(
            wanted: bool, chosen: str | None, chosen_trial: str | None, uploaded: Any, chosen_scanner: str | None
        ) -> Iterator[str]:
            choice = Choice(study=chosen, trial=chosen_trial)
            yield from neighbour_words(live, choice, uploaded if wanted else None, chosen_scanner)

        def warn(
            told: bool, chosen: str | None, chosen_trial: str | None, uploaded: Any, chosen_scanner: str | None
        ) -> Iterator[str]:
            choice = Choice(study=chosen, trial=chosen_trial)
            yield from warning(live, choice, None if told else uploaded, chosen_scanner)

        # Values come as the page sent them (`preprocess` off): choices change while studies run, and our own
        # reader says what is wrong with a file.
        quiet: dict[str, Any] = {
            "show_progress": "hidden",
            "queue": False,
            "preprocess": False,
            "api_visibility": "private",
        }
        blocks.load(open_page, None, choices, **quiet)
        blocks.load(None, None, None, js=START)
        blocks.load(None, None, None, js=FOLLOW)
        gr.Timer(refresh_seconds).tick(look_again, [study, trial, scanner, seen], [seen, *choices], **quiet)
        study.input(refresh, [study], choices, **quiet)
        trial.change(pick, one, None, **quiet)
        trial.change(tell, one, about, **quiet)
        trial.input(None, one, None, js=KEEP_IN_ADDRESS, api_visibility="private")
        compare.input(choose_second, [compare, study, study2], [second, beside, study2, trial2], **quiet)
        study2.input(choose_second, [compare, study, study2], [second, beside, study2, trial2], **quiet)
        trial2.change(pick, two, None, **quiet)
        gr.on(
            [trial.change, scanner.change, overlay.change, compare.input, trial2.change], partial(_stream_choice, live),
            [study, trial, scanner, overlay, compare, study2, trial2], stream_choice,
            trigger_mode="always_last", **quiet,
        )  # fmt: skip
        asked: dict[str, Any] = {
            "preprocess": False,
            "trigger_mode": "always_last",
            "concurrency_limit": 4,
            "show_progress": "minimal",
            "api_visibility": "private",
        }
        changed = [trial.change, scanner.input, overlay.input, compare.input, trial2.change]
        looked = [scanner, overlay, compare, study2, trial2]
        gr.on(
            [frame.change, *changed], answer, [study, trial, frame, *looked, times],
            [outlined, figures, mask, classes, outlined2, figures2, classes2, times],
            show_progress_on=[outlined, classes], **asked,
        )  # fmt: skip
        gr.on(
            [near.input, frame.change, trial.change, scanner.input], place, [near, study, trial, frame, scanner],
            among, show_progress_on=[among], **asked,
        )  # fmt: skip
        gr.on(
            [near.input, frame.change, trial.change, scanner.input], warn, [near, study, trial, frame, scanner],
            unlike, **{**asked, "show_progress": "hidden"},
        )  # fmt: skip
        gr.on(
            [file.change, trial.change, scanner.input], partial(warn, False), [study, trial, file, scanner],
            file_unlike, **{**asked, "show_progress": "hidden"},
        )  # fmt: skip
        working_on = gr.on(
            [file.change, *changed], look, [study, trial, file, *looked],
            [kept, drawn, clip, file_figures, plot, scrub, table, video, stop], show_progress_on=[kept], **asked,
        )  # fmt: skip
        stop.click(lambda: gr.Button(interactive=False), None, stop, cancels=[working_on], **quiet)
        programs.endpoints(live, predicting=([study, trial, frame, scanner], [outlined, figures, mask, classes]))
    return blocks


def _pane(number: str) -> tuple[gr.Image, gr.HTML]:
    """Where a trial's outline or classes stand."""
    outlined = gr.Image(
        label="Outline" if not number else "Outline of the second trial",
        format="png",
        interactive=False,
        buttons=["download", "fullscreen"],
        height=400,
        elem_id=f"outlined{number}",
        elem_classes="outlined",
    )
    classes = gr.HTML(visible=bool(number), elem_id=f"classes{number}", elem_classes="classes")
    return outlined, classes


def _choices(
    live: LiveAnswers,
    chosen_study: str | None,
    chosen_trial: str | None,
    chosen_scanner: str | None = None,
    *,
    shown: bool,
) -> list[Any]:
    """Updates of: what to do where nothing is trained, the page, studies, trials, provenance, scanners, and of where
    outline, mask and classes stand.

    Where the page has `shown` what is chosen, a choice that is still there is not sent: by the time that this arrives
    somebody may have made another one.
    """
    studies = live.studies
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
    scanner = chosen_scanner if chosen_scanner in scanners else (scanners[0] if scanners else None)

    def among(choices: list[Any], chosen: str | None, before: str | None) -> gr.Dropdown:
        value = {} if shown and chosen == before else {"value": chosen}
        return gr.Dropdown(choices=choices, visible=bool(choices), **value)

    return [
        gr.Markdown(visible=False),
        gr.Column(visible=True),
        among(names, study, chosen_study),
        among(trials, trial, chosen_trial),
        gr.skip() if shown and (study, trial) == (chosen_study, chosen_trial) else _about(live, study, trial),
        among(scanners, scanner, chosen_scanner),
        gr.Image(visible=task == "segmentation"),
        gr.DownloadButton(visible=task == "segmentation"),
        gr.HTML(visible=task == "classification"),
    ]


def _second(live: LiveAnswers, wanted: bool, chosen: str | None) -> list[Any]:
    """Studies and trials of the second choice; the second trial of the list, so that it is another one."""
    try:
        names = live.studies.names()
        if not wanted or not names:
            return [gr.skip(), gr.skip()]
        study = chosen if chosen in names else names[0]
        trials = live.studies.trials(study)
    except WhichLayersError:
        return [gr.skip(), gr.skip()]
    trial = trials[min(1, len(trials) - 1)][1]
    return [gr.Dropdown(choices=names, value=study), gr.Dropdown(choices=trials, value=trial)]


def _stream_choice(
    live: LiveAnswers, study: str | None, trial: str | None, scanner: str | None, overlay: Any,
    wanted: bool, other: str | None, other_trial: str | None,
) -> str:  # fmt: skip
    """Where the script of the camera finds what is chosen."""
    said = {"study": study, "trial": trial, "scanner": scanner, "overlay": kind_of(overlay)}
    keys = [(study, trial)] if study and trial else []
    if keys and wanted and other and other_trial:
        keys.append((other, other_trial))
        said |= {"study2": other, "trial2": other_trial}
    with suppress(WhichLayersError):  # it is said with the frame
        said |= dict(zip(("label", "label2"), live.labels(keys), strict=False))
    named = " ".join(f'data-{key}="{escape(value or "", quote=True)}"' for key, value in said.items())
    return f'<span id="stream-choice" {named}></span>'


def _about(live: LiveAnswers, study: str | None, trial: str | None) -> str:
    if not study or not trial:
        return ""
    try:
        return f"<p>{escape(live.studies.provenance(study, trial))}</p>"
    except WhichLayersError as error:
        return words.problem(error)
