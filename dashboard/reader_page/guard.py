"""What a request must be before it is heard: from our own page, small, and of the expected form."""

import json
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

LARGEST_BODY = 32 * 1024
"""Bytes."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer: nothing is kept by the browser, and no page of another host shows or reads it."""
_Asked = TypeVar("_Asked", bound="Asked")


class Refused(Exception):
    """A request that is not followed: its status, what the page says of it, and facts that the page acts on."""

    def __init__(self, status: int, *problems: str, **facts: object) -> None:
        self.status = status
        self.content: dict[str, object] = {"problems": list(problems), **facts}
        super().__init__("\n".join(problems))


class Asked(BaseModel):
    """What every request says: which tab it comes from."""

    model_config = ConfigDict(extra="forbid", strict=True)
    tab: str = Field(min_length=8, max_length=64)


class Begin(Asked):
    """Begins a reader (`name` and what is asked at the start), or goes on with one (`reader`)."""

    reader: str = Field("", max_length=80)
    name: str = Field("", max_length=200)
    years: float = Field(0.0, allow_inf_nan=False)
    examinations: int = 0
    exposure: str = Field("", max_length=40)
    note: str = Field("", max_length=2000)
    fold: int | None = None
    most: int | None = None
    feedback: bool = False
    take: bool = False
    """Goes on here although the reader is open in another tab."""


class Said(Asked):
    """An answer: the number of the class in the study's order."""

    token: str = Field(max_length=64)
    number: int = Field(ge=0)
    milliseconds: float = Field(ge=0, le=24 * 3.6e6, allow_inf_nan=False)


class Undo(Asked):
    """The frame whose answer is taken back."""

    token: str = Field(max_length=64)


class Looked(Asked):
    """Labelled frames that were in view together."""

    tokens: list[str] = Field(min_length=1, max_length=100)
    large: bool
    milliseconds: float = Field(ge=0, le=24 * 3.6e6, allow_inf_nan=False)


class Alive(Asked):
    """The tab is still there, or is left now."""

    leaving: bool = False


async def heard(request: Request, kind: type[_Asked]) -> _Asked:
    """What the body says. Raises Refused for a request that is too large, and one of another form.

    Requests of other pages do not come this far: `dashboard.origin`.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Refused(415, "Expected JSON.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise Refused(413, f"More than {LARGEST_BODY // 1024} kB: shorten the note.")
    try:
        return kind.model_validate(json.loads(body))
    except ValidationError as error:
        raise Refused(422, *(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())) from None
    except (ValueError, RecursionError):
        raise Refused(422, "This is no JSON.") from None
