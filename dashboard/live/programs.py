"""What programs ask of the Live server by Gradio's API: `/ask` for a frame, `/ask_clip` for a clip, `/predict`.

Documented with its Python client in docs/live.md.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import gradio as gr

from dashboard.live.answers import Choice, LiveAnswers, program_answer, program_summary
from dashboard.live.likeness import UNKNOWN
from dashboard.live.outputs import frame_outputs
from engine.errors import WhichLayersError


def endpoints(live: LiveAnswers, *, predicting: tuple[list[Any], list[Any]]) -> None:
    """Add the endpoints to the page that is being built. `predicting` are inputs and outputs of `/predict`."""

    def predict(study: str | None, trial: str | None, uploaded: Any, scanner: str | None = None) -> list[Any]:
        return frame_outputs(live, Choice(study=study, trial=trial), uploaded, scanner, "outline", [])[0]

    def ask(study: str, trial: str, file: Any, scanner: str, overlay: str) -> list[Any]:
        try:
            choice = Choice(study=study, trial=trial)
            shown = live.frame(choice, file, scanner=scanner, overlay=overlay)
            likeness = live.likeness_of_file(choice, file, scanner=scanner)
        except WhichLayersError as error:
            raise gr.Error(str(error), print_exception=False) from None
        files = [None if path is None else str(path) for path in (shown.mask, shown.drawn)]
        return [{**program_answer(shown.answer), **likeness}, *files]

    def ask_clip(study: str, trial: str, file: Any, scanner: str, overlay: str) -> Iterator[list[Any]]:
        # A generator, which Gradio ends when its client leaves.
        try:
            choice, state = Choice(study=study, trial=trial), None
            for state in live.clip([choice], file, scanner=scanner, overlay=overlay):
                if state.table is None:
                    yield [program_summary(state), None, None]
            assert state is not None
            likeness = UNKNOWN
            with suppress(WhichLayersError):  # what was answered is not lost with it
                likeness = live.likeness_of_file(choice, file, scanner=scanner)
        except WhichLayersError as error:
            raise gr.Error(str(error), print_exception=False) from None
        yield [{**program_summary(state), **likeness}, str(state.table), str(state.clip)]

    with gr.Column(visible=False):
        study = gr.Textbox(label="study")
        trial = gr.Textbox(value="best", label="trial")
        given = gr.File(label="file")
        scanner = gr.Textbox(value="", label="scanner")
        overlay = gr.Textbox(value="outline", label="overlay")
        said, first, second = gr.JSON(label="said"), gr.File(label="mask or table"), gr.File(label="overlay")
        button = gr.Button("ask")
        shared: dict[str, Any] = {"preprocess": False, "concurrency_limit": 4}
        inputs, outputs = [study, trial, given, scanner, overlay], [said, first, second]
        button.click(ask, inputs, outputs, api_name="ask", **shared)
        button.click(ask_clip, inputs, outputs, api_name="ask_clip", **shared)
        button.click(predict, *predicting, api_name="predict", **shared)
