"""The settings of a study file in words, made from the strings under the fields. Needs no torch."""

import ast
import inspect
import sys
from dataclasses import MISSING, dataclass, fields, is_dataclass
from itertools import pairwise
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from engine.study_settings import Study

LEFT_OUT = {"name": "the file's name", "folds.run": "every fold", "strategies": "the paper's thirteen"}
"""What `engine.config` puts in place of keys that a file leaves out, where the class alone cannot say it."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One key of a study file, as a form or a table needs it."""

    name: str
    doc: str
    """The string under the field, on one line; "" where there is none."""
    hint: Any
    """Type of the value, `None` left out."""
    optional: bool
    """True where `off` (None) may stand."""
    choices: tuple[str, ...]
    """The words that may stand, where they are few."""
    section: type | None
    """Settings class of the keys below, where this key opens a section or a list of them."""
    required: bool
    """True where there is no default."""
    default: Any
    """None where `required`."""


def describe(settings: type) -> list[Field]:
    """The fields of a settings dataclass in order, with the strings under them.

    Raises TypeError where `settings` is no dataclass.
    """
    if not is_dataclass(settings):
        raise TypeError(f"{settings!r} is no settings class; expected a dataclass of engine.study_settings")
    docs, hints = _docs(settings), get_type_hints(settings)
    described: list[Field] = []
    for field in fields(settings):
        hint = hints[field.name]
        optional = NoneType in get_args(hint)
        inner = next(part for part in get_args(hint) if part is not NoneType) if optional else hint
        entry = get_args(inner)[0] if get_origin(inner) is tuple else inner
        made = field.default_factory() if field.default_factory is not MISSING else field.default
        described.append(
            Field(
                name=field.name,
                doc=docs.get(field.name, ""),
                hint=inner,
                optional=optional,
                choices=tuple(get_args(inner)) if get_origin(inner) is Literal else (),
                section=entry if is_dataclass(entry) and isinstance(entry, type) else None,
                required=made is MISSING,
                default=None if made is MISSING else made,
            )
        )
    return described


def settings_markdown(settings: type = Study) -> str:
    """A Markdown table of every key of a study file: key, default, meaning. Sections stand before their keys."""
    rows = ["| key | default | meaning |", "|---|---|---|", *_rows(settings, "")]
    return "\n".join(rows) + "\n"


def _rows(settings: type, above: str) -> list[str]:
    rows: list[str] = []
    for field in describe(settings):
        doc = field.doc.replace("|", "\\|")
        if field.section is not None:
            default = "off" if field.optional and field.default is None else ""
            rows.append(f"| **`{above}{field.name}`** | {default} | {doc} |")
            rows += _rows(field.section, f"{above}{field.name}.")
        else:
            key = f"{above}{field.name}"
            rows.append(f"| `{key}` | {LEFT_OUT.get(key) or _default(field)} | {_one_of(field)}{doc} |")
    return rows


def _one_of(field: Field) -> str:
    """`a`, `b` or `c`: the words that may stand, where the field's own string does not name them all."""
    words = [f"`{word}`" for word in field.choices]
    return "" if all(word in field.doc for word in words) else f"{', '.join(words[:-1])} or {words[-1]}. "


def _default(field: Field) -> str:
    value = field.default
    if value is None:
        return "" if field.required else "`null`"
    if isinstance(value, bool):
        return "`yes`" if value else "`no`"
    if isinstance(value, tuple):
        return f"`[{', '.join(_number(item) for item in value)}]`"
    if isinstance(value, dict):
        return "`{}`"
    return f"`{_number(value)}`" if value != "" else ""


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _docs(settings: type) -> dict[str, str]:
    """Field -> the string that stands under it in the source."""
    tree = ast.parse(inspect.getsource(sys.modules[settings.__module__]))
    body = next(
        node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == settings.__name__
    )
    docs: dict[str, str] = {}
    for field, below in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            text = below.value.value if isinstance(below.value, ast.Constant) else None
            if isinstance(text, str):
                docs[field.target.id] = " ".join(text.split())
    return docs
