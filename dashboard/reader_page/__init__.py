"""The page on which a person classifies frames: one HTML file with its script, and what it asks of the server.

Streamlit's pages are drawn anew on the server at every key and hold their data in the browser; here a key costs one
small request, and what the browser holds says nothing of a frame but its pixels.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard.reader_page.desk import Desk
from dashboard.reader_page.guard import HEADERS, Alive, Asked, Begin, Looked, Refused, Said, Undo, heard
from engine.errors import WhichLayersError
from engine.store import Store

_Kind = TypeVar("_Kind", bound=Asked)
Endpoint = Callable[[Request], Awaitable[Response]]
FILES = {
    "": ("page.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    **{name: (name, "text/javascript") for name in ("page.js", "labelled.js", "clock.js")},
}
"""Name under the page's address -> file beside this module, and its kind."""


def build(store_root: str, cache: Path) -> Starlette:
    """The reader page on the studies under `store_root`, to be mounted at any path; images come from `cache`."""
    desk = Desk(Store.at(store_root), cache)
    study, reader = "/api/{study}", "/api/{study}/readers/{reader}"
    acts: dict[str, Endpoint] = {
        f"{study}/begin": _asked(Begin, lambda path, wish: desk.begin(path["study"], wish)),
        f"{reader}/answer": _asked(Said, _of_reader(desk.answer)),
        f"{reader}/undo": _asked(Undo, _of_reader(desk.undo)),
        f"{reader}/looked": _asked(Looked, _of_reader(desk.looked)),
        f"{reader}/alive": _asked(Alive, _of_reader(desk.alive)),
    }
    return Starlette(
        routes=[
            *(Route(f"/{name}", _file(*about)) for name, about in FILES.items()),
            *(Route(path, act, methods=["POST"]) for path, act in acts.items()),
            Route(study, _told(lambda request: desk.study(request.path_params["study"]))),
            Route(f"{reader}/labelled/{{number:int}}", _told(partial(_labelled, desk))),
            Route(f"{reader}/{{kind}}/{{token}}.png", partial(_picture, desk)),
        ],
        exception_handlers={WhichLayersError: _problem, Refused: _refusal},
    )


def _file(name: str, kind: str) -> Endpoint:
    async def send(request: Request) -> Response:
        content = Path(__file__).with_name(name).read_bytes()
        return Response(content, media_type=f"{kind}; charset=utf-8", headers=HEADERS)

    return send


def _told(look: Callable[[Request], dict[str, Any]]) -> Endpoint:
    async def answer(request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(look, request), headers=HEADERS)

    return answer


def _asked(kind: type[_Kind], act: Callable[[dict[str, str], _Kind], dict[str, Any]]) -> Endpoint:
    async def answer(request: Request) -> Response:
        said = await heard(request, kind)
        return JSONResponse(await asyncio.to_thread(act, request.path_params, said), headers=HEADERS)

    return answer


def _of_reader(act: Callable[[str, str, _Kind], dict[str, Any]]) -> Callable[[dict[str, str], _Kind], dict[str, Any]]:
    return lambda path, said: act(path["study"], path["reader"], said)


def _reader(request: Request) -> tuple[str, str]:
    return request.path_params["study"], request.path_params["reader"]


def _labelled(desk: Desk, request: Request) -> dict[str, Any]:
    page = request.query_params.get("page", "0")
    return desk.labelled(*_reader(request), request.path_params["number"], int(page) if page.isdecimal() else 0)


async def _picture(desk: Desk, request: Request) -> Response:
    kind, token = request.path_params["kind"], request.path_params["token"]
    content = await asyncio.to_thread(desk.picture, *_reader(request), kind, token)
    return Response(content, media_type="image/png", headers=HEADERS)


async def _problem(request: Request, error: Exception) -> Response:
    problems = error.problems if isinstance(error, WhichLayersError) else (str(error),)
    return JSONResponse({"problems": list(problems)}, status_code=409, headers=HEADERS)


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse(error.content, status_code=error.status, headers=HEADERS)
