"""One frame by plain HTTP: its bytes go in, what a trained trial says of it comes back as JSON.

    curl --data-binary @frame.png 'http://127.0.0.1:8501/inference/frame?study=fetal_head&trial=best'

Over Gradio's API a frame takes four requests and a place in its queue, and about twice as long.
"""

from base64 import b64encode
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from dashboard.inference.messages import ClassAnswer
from dashboard.live.answers import Choice, LiveAnswers, program_answer
from dashboard.live.threads import waited
from engine.errors import DataError, WhichLayersError

LARGEST_BYTES = 32 * 2**20
"""Of a file; the middle frame of a clip is asked about."""
FIELDS = ("study", "trial", "scanner", "overlay", "pictures")
TOO_LARGE, MISTAKE = 413, 422


async def answer_frame(request: Request, live: LiveAnswers) -> Response:
    """The answer; a mistake is a line under `problem`, with status 422 (413 where the file is too large)."""
    try:
        asked = _asked(request)
        content = await _content(request)
        if content is None:
            return too_large()
        return JSONResponse(await waited(_answer, live, asked, content))
    except WhichLayersError as error:
        return JSONResponse({"problem": " ".join(error.problems)}, status_code=MISTAKE)
    except ClientDisconnect:
        return Response(status_code=499)


def too_large() -> JSONResponse:
    """The answer to a larger file; also given where its length is told before it comes (`dashboard.limits`)."""
    line = f"a file of more than {LARGEST_BYTES // 2**20} MB; send a frame of it"
    return JSONResponse({"problem": line}, TOO_LARGE, {"Connection": "close"})


def _asked(request: Request) -> dict[str, str]:
    asked = dict(request.query_params)
    unknown = [name for name in asked if name not in FIELDS]
    if unknown:
        raise DataError(f"'{unknown[0]}' is not known here; {', '.join(FIELDS)} are")
    return asked


async def _content(request: Request) -> bytes | None:
    """The body; None as soon as it is too large."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > LARGEST_BYTES:
            return None
    if not size:
        raise DataError("no frame came; send the file's bytes as the body")
    return b"".join(parts)


def _answer(live: LiveAnswers, asked: dict[str, str], content: bytes) -> dict[str, Any]:
    choice = Choice(study=asked.get("study"), trial=asked.get("trial", "best"))
    pictures = asked.get("pictures", "yes") != "no"
    answer = live.ask(choice, content, scanner=asked.get("scanner"), overlay=asked.get("overlay"), picture="JPEG")
    said = {**program_answer(answer), **live.likeness(choice, content, scanner=asked.get("scanner"))}
    if isinstance(answer, ClassAnswer) or not pictures:
        return said
    return {**said, "mask": b64encode(answer.mask).decode(), "drawn": b64encode(answer.outlined).decode()}
