"""A study file as text that a form changes key by key: comments and what the form does not know stay as they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, get_args, get_origin

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from engine.config import Field, describe
from engine.errors import StudyFileError
from engine.study_settings import Study

Key = tuple[str, ...]
"""`("training", "patience")`."""

SMALL = """\
name: my-study
question: Which layers should be fine-tuned?

model:
  width: 16 # 64 in the paper; 16 suits a laptop
  image_size: 128

data:
  kind: simulated

strategies: [whole network, contracting, expanding, from scratch]
fractions: [80, 5]
folds: {of: 5, run: [0, 1, 2]}

training:
  patience: 8
  max_epochs: 20 # below 200 this is a cut for laptops, shown as "cut at 20", not a failure
  batches_per_epoch: 27
"""
"""What the form begins with: a study of masks that two cores finish in about a quarter of an hour."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One key of the study file as a form asks for it."""

    key: Key
    field: Field

    @property
    def label(self) -> str:
        """`Max epochs`."""
        return self.key[-1].replace("_", " ").capitalize()

    @property
    def kind(self) -> str:
        """`choice`, `yes or no`, `whole number`, `number`, or `text`, which may hold a list or pairs in YAML."""
        if self.field.choices:
            return "choice"
        plain = {bool: "yes or no", int: "whole number", float: "number"}
        return "text" if self.field.optional else plain.get(self.field.hint, "text")

    @property
    def is_list(self) -> bool:
        """Whether the value is a list, such as fractions."""
        return get_origin(self.field.hint) is tuple

    @property
    def holds_text(self) -> bool:
        """Whether what is typed is one text, and not YAML."""
        return self.field.hint is str or (self.is_list and get_args(self.field.hint)[0] is str)


def entries(settings: type = Study, above: Key = ()) -> dict[Key, list[Entry]]:
    """The keys of every section, in the order of the classes; the file's own keys stand under `()`."""
    found: dict[Key, list[Entry]] = {above: []}
    for field in describe(settings):
        if field.section is None:
            found[above].append(Entry(key=(*above, field.name), field=field))
        else:
            found.update(entries(field.section, (*above, field.name)))
    return found


def read(text: str) -> CommentedMap:
    """The file's keys and values. Raises StudyFileError where it is no YAML, or no keys and values."""
    try:
        tree = YAML(typ="rt", pure=True).load(text or "{}")
    except YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", None)
        place = "study file" if line is None else f"study file:{line + 1}"
        raise StudyFileError(f"{place}: {getattr(error, 'problem', None) or 'no YAML'}; mend it in the file") from error
    if not isinstance(tree, CommentedMap):
        raise StudyFileError("study file: no keys and values; expected a line such as 'name: my-study'")
    return tree


def value_at(tree: Any, key: Key) -> Any:
    """What the file says at `key`; None where it says nothing. Of a list of sections the first."""
    for part in key:
        tree = tree[0] if isinstance(tree, CommentedSeq) and tree else tree
        if not isinstance(tree, dict) or part not in tree:
            return None
        tree = tree[part]
    return tree


def with_value(text: str, key: Key, value: Any) -> str:
    """The file with `value` at `key`; None takes the key out, and a section that is then empty.

    Raises StudyFileError where the text is no study file.
    """
    tree = read(text)
    _put(tree, key, value)
    stream = StringIO()
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 10**6
    yaml.dump(tree, stream)
    return stream.getvalue()


def typed(entry: Entry, text: str) -> Any:
    """What somebody typed into the field, as a value; None where it is empty, which leaves the key out.

    Lists may be typed with or without brackets; what is no YAML stays text, and the file's check says what is wrong.
    """
    text = text.strip()
    if not text:
        return None
    if entry.holds_text and not entry.is_list:
        return text
    if entry.is_list and not text.startswith("["):
        text = f"[{text}]"
    try:
        found = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return text
    return flow(found)


def shown(entry: Entry, tree: CommentedMap) -> str:
    """The value in the file as somebody would type it; "" where the file leaves the key out."""
    found = value_at(tree, entry.key)
    if found is None:
        return ""
    if isinstance(found, Sequence) and not isinstance(found, str):
        return ", ".join(_word(item) for item in found)
    return _word(found)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_word(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_word(item) for item in value) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return f'"{text}"' if "," in text else text


def flow(value: Any) -> Any:
    """Lists and pairs as they are written on one line."""
    if isinstance(value, list):
        made = CommentedSeq(value)
        made.fa.set_flow_style()
        return made
    if isinstance(value, dict):
        pairs = CommentedMap({key: flow(item) for key, item in value.items()})
        pairs.fa.set_flow_style()
        return pairs
    return value


def _put(tree: CommentedMap, key: Key, value: Any) -> None:
    for part in key[:-1]:
        below = tree.get(part)
        below = below[0] if isinstance(below, CommentedSeq) and below else below
        if not isinstance(below, CommentedMap):
            if value is None:
                return
            below = tree[part] = CommentedMap()
        tree = below
    if value is None:
        tree.pop(key[-1], None)
    else:
        tree[key[-1]] = value
