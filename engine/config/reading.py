"""YAML text -> plain values with their lines, as the settings classes expect them. Needs no torch.

Scalars are taken as they are written, and the field decides what they mean: `1e-4` is a number for a number,
`no` and `off` are false for a yes/no field, "nothing" for a field that may be off, and a word for a text.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from itertools import takewhile
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from engine.errors import StudyFileError

Key = tuple[str | int, ...]
"""Place of a value: `("training", "patience")`, `("fractions", 1)`."""

OFF_WORDS = frozenset({"off", "no", "none", "null", "false", "~", ""})
ON_WORDS = frozenset({"on", "yes", "true"})

_SYNTAX_REMEDIES = (
    (r"'\\t'", "there is a tab; YAML indents with spaces"),
    (r"mapping values are not allowed", "a second ':' on one line, or a line indented too far; quote text with ': '"),
    (r"expected ',' or '[\]}]'|expected the node content", "a bracket is not closed, or a comma is missing"),
    (r"expected <block end>", "the line is indented unlike the lines that it belongs with"),
    (r"unexpected end of stream", "a quotation mark is not closed"),
    (r"could not find expected ':'", "a key without ':'"),
    (r"undefined alias", "'*' refers to a mark that is not set; put the text in quotes"),
    (r"another document", "'---' begins a second study; write one study per file"),
    (r"cannot start any token", "text that begins with this character must stand in quotes"),
)

_OPENS_A_SET = re.compile(r"(blocks|units|convolutions|lora)\s|smp u-net$", re.IGNORECASE)
_GOES_ON = re.compile(r"\d|frozen encoder$", re.IGNORECASE)


class Reading:
    """What a study file says: `tree` of plain values, `lines` of each key, `problems` with their lines.

    `failed` holds the keys whose values could not be used; they are absent from `tree`.
    """

    def __init__(self, text: str, source: str, settings: type) -> None:
        self.source = source
        self.lines: dict[Key, int] = {}
        self.problems: list[tuple[int, str]] = []
        self.failed: set[Key] = set()
        self._settings = settings
        self.tree: dict[str, Any] = {}
        node = _compose(text, source)
        if not isinstance(node, MappingNode):
            raise StudyFileError(
                f"{source}:{_line(node)}: not a study; expected keys and values, such as 'name: my-study'"
            )
        self.tree = self._section(node, settings, ())

    def problem(self, key: Key, text: str, line: int | None = None) -> None:
        """Notes a mistake in the value at `key`, whose value is then not used."""
        self.problems.append((self.line(key) if line is None else line, text))
        self.failed.add(key)

    def line(self, key: Key) -> int:
        """Line of `key`, or of the nearest section around it; 0 where the file does not mention it."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 0)

    def drop(self, keys: Iterable[Key]) -> None:
        """Takes the values at `keys` out of `tree`; later entries of a list move up, with their lines."""
        for key in sorted(keys, key=lambda key: [str(part).zfill(9) for part in key], reverse=True):
            parent: Any = self.tree
            for part in key[:-1]:
                parent = parent[part]
            del parent[key[-1]]
            if isinstance(place := key[-1], int):
                # the place now belongs to the next entry, which is not at fault; the list is still incomplete
                self.failed.discard(key)
                self.failed.add((*key[:-1], -1))
                for later in range(place, len(parent)):
                    self.lines[(*key[:-1], later)] = self.lines[(*key[:-1], later + 1)]

    def _section(self, node: MappingNode, settings: type, key: Key) -> dict[str, Any]:
        hints = get_type_hints(settings)
        values: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for name_node, value_node in node.value:
            name = str(name_node.value)
            here, line = (*key, name), _line(name_node)
            if not isinstance(name_node, ScalarNode):
                self.problem((*key, f"?{line}"), "a key is a list or section; expected a word", line)
                continue
            if name in seen:
                self.problem(here, f"'{dotted(here)}' stands in line {seen[name]} already; keep one of them", line)
                continue
            seen[name] = line
            if name not in hints:
                self.problem(here, self._unknown_key(here, list(hints)), line)
                continue
            self.lines[here] = line
            value = self._value(value_node, hints[name], here)
            if here not in self.failed:
                values[name] = value
        return values

    def _value(self, node: Node, hint: Any, key: Key) -> Any:
        inner, optional = _without_none(hint)
        word = node.value.lower() if isinstance(node, ScalarNode) and node.style is None else None
        if str(node.tag).startswith("!"):
            return self.problem(key, f"'{dotted(key)}' has the tag '{node.tag}', which means nothing here; remove it")
        if is_dataclass(inner) and isinstance(inner, type):
            return self._optional_section(node, inner, key, word=word, optional=optional)
        if optional and word in OFF_WORDS:
            # An amount that is off is none of it; nothing said leaves the choice to the machine.
            return 0.0 if inner is float and word in ("off", "no", "false") else None
        if is_dataclass(section := _entry(inner)) and isinstance(section, type):
            return self._sections(node, section, key)
        if get_origin(inner) is tuple:
            return self._list(node, key, word)
        if get_origin(inner) is dict:
            return self._dictionary(node, inner, key, word)
        if not isinstance(node, ScalarNode):
            found = "a list" if isinstance(node, SequenceNode) else "a section"
            return self.problem(key, f"'{dotted(key)}' is {found}; expected {expected(inner)}")
        if word == "":
            return self.problem(key, f"'{dotted(key)}' has no value; expected {expected(inner)}, or leave the key out")
        return node.value

    def _optional_section(self, node: Node, settings: type, key: Key, *, word: str | None, optional: bool) -> Any:
        if isinstance(node, MappingNode):
            return self._section(node, settings, key)
        example = f"'{fields(settings)[0].name}: ...'"
        if word == "" and not optional:
            return {}
        if word == "":
            return self.problem(key, f"'{dotted(key)}' is empty; write 'off', or keys such as {example} under it")
        if optional and word in OFF_WORDS:
            return None
        if optional and word in ON_WORDS:
            return {}
        found = f"'{node.value}'" if isinstance(node, ScalarNode) else "a list"
        off = "'off', or " if optional else ""
        return self.problem(key, f"'{dotted(key)}' is {found}; expected {off}keys such as {example} indented under it")

    def _sections(self, node: Node, settings: type, key: Key) -> Any:
        """A list of sections; a single section stands for a list of one."""
        items = node.value if isinstance(node, SequenceNode) else [node]
        if not items:
            return self.problem(key, f"'{dotted(key)}' is an empty list; leave it out, or give one section at least")
        values = []
        for place, item in enumerate(items):
            here = (*key, place)
            self.lines[here] = _line(item)
            word = item.value.lower() if isinstance(item, ScalarNode) and item.style is None else None
            value = self._optional_section(item, settings, here, word=word, optional=False)
            if here in self.failed:
                self.failed.add(key)
            values.append(value)
        return values

    def _list(self, node: Node, key: Key, word: str | None) -> Any:
        """A list; a single value stands for a list of one."""
        if isinstance(node, MappingNode):
            return self.problem(key, f"'{dotted(key)}' is a section; expected a list such as [first, second]")
        items = node.value if isinstance(node, SequenceNode) else [] if word == "" else [node]
        for place, item in enumerate(items):
            self.lines[(*key, place)] = _line(item)
            if not isinstance(item, ScalarNode):
                return self.problem(key, f"'{dotted(key)}' has a list or section inside; expected single values")
            if item.style is None and item.value == "":
                return self.problem(key, f"'{dotted(key)}' has an empty entry; remove it", _line(item))
        if isinstance(node, SequenceNode) and node.flow_style:
            self._require_no_torn_blocks(items, key)
        return [item.value for item in items]

    def _require_no_torn_blocks(self, items: Sequence[Any], key: Key) -> None:
        """`[blocks 1,2]` is two entries in YAML, and would silently be two other strategies."""
        for place, item in enumerate(items):
            if item.style is None and _OPENS_A_SET.match(item.value):
                rest = takewhile(lambda later: later.style is None and _GOES_ON.match(later.value), items[place + 1 :])
                text = ",".join([item.value, *(later.value for later in rest)])
                if text != item.value:
                    advice = f'between [ ] a comma ends an entry; put it in quotes: "{text}"'
                    self.problem(key, f"'{dotted(key)}' has {text}: {advice}", _line(item))
                    return

    def _dictionary(self, node: Node, hint: Any, key: Key, word: str | None) -> Any:
        """A name (column, scanner, unit) -> list of texts, or one value."""
        kind = get_args(hint)[1]
        if word == "":
            return {}
        if not isinstance(node, MappingNode):
            shown = "column: [value, value]" if get_origin(kind) is tuple else f"name: {expected(kind)}"
            return self.problem(key, f"'{dotted(key)}' is not a section; expected '{shown}' under it")
        values: dict[str, Any] = {}
        for name_node, value_node in node.value:
            if not isinstance(name_node, ScalarNode):
                return self.problem(key, f"'{dotted(key)}' has a list or section as a key; expected a name")
            here = (*key, str(name_node.value))
            if here[-1] in values or here in self.failed:
                self.problem(here, f"'{dotted(here)}' stands here twice; keep one of them", _line(name_node))
                continue
            self.lines[here] = _line(name_node)
            plain = isinstance(value_node, ScalarNode) and value_node.style is None
            value = (
                self._list(value_node, here, value_node.value if plain else None)
                if get_origin(kind) is tuple
                else self._value(value_node, kind, here)
            )
            if here not in self.failed:
                values[str(name_node.value)] = value
        return values

    def _unknown_key(self, key: Key, known: list[str]) -> str:
        name = str(key[-1])
        if near := get_close_matches(name.lower(), known, n=1):
            return f"unknown key '{dotted(key)}'; did you mean '{near[0]}'?"
        homes = [".".join(path) for path in _places(self._settings, name)]
        if homes:
            quoted = " or ".join(f"'{home}'" for home in homes)
            return f"unknown key '{dotted(key)}'; did you mean {quoted}?"
        return f"unknown key '{dotted(key)}'; known here: {', '.join(known)}"


def dotted(key: Key) -> str:
    """`training.patience`; places in lists are left out."""
    return ".".join(str(part) for part in key if isinstance(part, str))


def expected(hint: Any) -> str:
    """What a value of this type looks like, in plain words."""
    inner, optional = _without_none(hint)
    if get_origin(inner) is tuple:
        return expected(get_args(inner)[0])
    if get_origin(inner) is Literal:
        *most, last = (f"'{choice}'" for choice in get_args(inner))
        words = f"{', '.join(most)} or {last}" if most else last
    else:
        words = {int: "a whole number", float: "a number", bool: "yes or no", str: "text"}[inner]
    return f"{words}, or off" if optional else words


def hint_at(settings: type, key: Key) -> Any:
    """The type that the settings class gives to the value at `key`."""
    hint: Any = settings
    for part in key:
        inner, _ = _without_none(hint)
        if is_dataclass(inner):
            hint = get_type_hints(inner)[str(part)]
        else:
            hint = get_args(inner)[1 if get_origin(inner) is dict else 0]
    return hint


def wrong_type(settings: type, key: Key, value: object) -> str:
    """The line for a value that is not what its field takes, with the nearest known word if there is one."""
    inner, _ = _without_none(hint := hint_at(settings, key))
    verb = "has" if isinstance(key[-1], int) else "is"
    text = f"'{dotted(key)}' {verb} '{value}'; expected {expected(hint)}"
    if get_origin(inner) is Literal:
        choices = {str(choice).lower(): choice for choice in get_args(inner)}
        if len(choices) > 1 and (near := get_close_matches(str(value).lower(), choices, n=1, cutoff=0.5)):
            text += f"; did you mean '{choices[near[0]]}'?"
    return text


def _without_none(hint: Any) -> tuple[Any, bool]:
    arguments = get_args(hint)
    if NoneType not in arguments:
        return hint, False
    return next(argument for argument in arguments if argument is not NoneType), True


def _entry(hint: Any) -> Any:
    """Type of a list's entries; None for what is no list."""
    return get_args(hint)[0] if get_origin(hint) is tuple else None


def _places(settings: type, name: str, above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Sections in which a key of this name is known."""
    found: list[tuple[str, ...]] = []
    for key, hint in get_type_hints(settings).items():
        inner, _ = _without_none(hint)
        found += [(*above, key)] if key == name else []
        section = _entry(inner) or inner
        found += _places(section, name, (*above, key)) if is_dataclass(section) and isinstance(section, type) else []
    return found


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _compose(text: str, source: str) -> Node:
    """The YAML tree of `text`. Raises StudyFileError with the line where it is no YAML, or empty."""
    try:
        node: Node | None = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        problem = str(error.problem or error.context or "")
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        remedy = next((words for pattern, words in _SYNTAX_REMEDIES if re.search(pattern, problem)), problem)
        raise StudyFileError(f"{source}:{line}: not valid YAML: {remedy}") from error
    except YAMLError as error:
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        raise StudyFileError(f"{source}:{line}: a character that text cannot have; save the file as text") from error
    except RecursionError as error:
        raise StudyFileError(f"{source}: brackets nested too deeply; expected keys and values") from error
    if node is None or (isinstance(node, ScalarNode) and node.style is None and node.value == ""):
        raise StudyFileError(f"{source}: the file is empty; expected a study (see the files in tune_configs)")
    return node
