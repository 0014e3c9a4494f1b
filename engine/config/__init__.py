"""Study files: YAML -> a frozen Study, every mistake at once with file, line and remedy. Needs no torch.

What a file may say:

- Every key may be left out; `name` is then the file's name, `folds.run` every fold.
- A single value stands for a list of one: `learning_rates: 1e-4`.
- `yes`, `on`, `true` and `no`, `off`, `false` are the values of a yes/no key. For a key that may be off
  (`training.augmentation`), `off`, `no`, `none` and `null` say so; `resources.gpu: off` is 0, the processor, and
  `null` leaves the choice to the machine. Elsewhere they are words; in quotes they are always words.
- `1e-4` is a number (YAML 1.2).
- Strategies may be written as `5` or `1-4`; between [ ] a set with commas stands in quotes: `["blocks 1,2"]`.
- Folders are relative to the directory in which the command runs, not to the file.
"""

import re
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from engine.config.checks import check, default_strategies, has_known_units, parse, parsed_strategies
from engine.config.class_checks import fill_defaults
from engine.config.mistakes import Mistake
from engine.config.reading import OFF_WORDS, ON_WORDS, Key, Reading, wrong_type
from engine.config.reference import Field, describe, settings_markdown
from engine.errors import StudyFileError
from engine.study_settings import Study

__all__ = ["Field", "Mistake", "check", "describe", "dump", "load", "loads", "settings_markdown"]


def load(path: str | Path) -> Study:
    """The study that a YAML file describes, strategies under their canonical names.

    Raises StudyFileError with one line per mistake: `x.yaml:4: unknown key 'seed'; did you mean 'seeds'?`.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise StudyFileError(_absent(path)) from error
    except IsADirectoryError as error:
        raise StudyFileError(f"{path}: a folder; expected a study file such as {path / 'study.yaml'}") from error
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise StudyFileError(f"{path}:{line}: not UTF-8 text; save the file with encoding UTF-8") from error
    return loads(text, source=str(path))


def loads(text: str, source: str = "study file") -> Study:
    """The study that YAML `text` describes; `source` names it in messages, and the study where it has no name.

    Raises StudyFileError with one line per mistake, in the order of the lines.
    """
    reading = Reading(text, source, Study)
    fill_defaults(reading.tree)
    named = "name" in reading.tree or ("name",) in reading.failed
    study = _typed(reading, Path(source).stem)
    if not _touches(reading.failed, ("folds",)) and "run" not in (reading.tree.get("folds") or {}):
        study = replace(study, folds=replace(study.folds, run=tuple(range(min(study.folds.of, 1000)))))
    for mistake in check(study):
        if mistake.key == ("name",) and not named:
            reading.problem(("name",), f"no 'name'; {mistake.text.split(';')[1].strip()}", 0)
        elif not any(_touches(reading.failed, key) for key in (mistake.key, *mistake.needs)):
            line = reading.line(mistake.key)
            default = "" if line else f"; that is the default: write '{mistake.key[0]}' into the file"
            reading.problems.append((line, mistake.text + default))
    if reading.problems:
        lines = sorted(reading.problems, key=lambda problem: problem[0])
        raise StudyFileError(
            [f"{source}:{line}: {_one_line(text)}" if line else f"{source}: {_one_line(text)}" for line, text in lines]
        )
    if not has_known_units(study):
        return study
    chosen = [strategy.name for strategy in parsed_strategies(study)] or default_strategies(study)
    return replace(study, strategies=tuple(chosen), reference=parse(study, study.reference).name)


def with_absolute_paths(study: Study) -> Study:
    """The same study from whatever folder it is run: its folders and files by their whole paths."""

    def whole(path: str | None) -> str | None:
        return path if path is None else str(Path(path).expanduser().absolute())

    starts = [replace(start, folder=whole(start.folder), file=whole(start.file)) for start in study.start_weights]
    return replace(
        study,
        data=replace(study.data, folder=whole(study.data.folder)),
        start_weights=tuple(starts),
        encoder=replace(study.encoder, weights=whole(study.encoder.weights)),
    )


def dump(study: Study) -> str:
    """YAML with every field of `study`, so that it says the same under later defaults; `loads` gives it back."""
    stream = StringIO()
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 10**6
    yaml.dump(_plain(study), stream)
    return stream.getvalue()


def _typed(reading: Reading, name: str) -> Study:
    """The Study with defaults where values are of the wrong type; notes those in `reading`."""
    adapter = TypeAdapter(Study)
    # as floats even if the class writes them as whole numbers: a trial's id must not know whether a file gave them
    defaults = {"name": name, "fractions": [float(fraction) for fraction in Study.fractions]}
    try:
        return adapter.validate_python({**defaults, **reading.tree})
    except ValidationError as error:
        wrong: list[Key] = []
        for detail in error.errors(include_url=False, include_context=False):
            key: Key = detail["loc"]
            reading.problem(key, wrong_type(Study, key, detail["input"]))
            wrong.append(key)
    reading.drop(wrong)
    return adapter.validate_python({**defaults, **reading.tree})


def _touches(failed: set[Key], key: Key) -> bool:
    """Is the value at `key`, something around it or something in it among the failed ones?"""
    return any(other == key[: len(other)] or key == other[: len(key)] for other in failed)


def _one_line(text: str) -> str:
    """`text` without line breaks and control characters that a value may hold, cut where it is endless."""
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return shown if len(shown) <= 600 else f"{shown[:300]} ... {shown[-200:]}"


def _absent(path: Path) -> str:
    names = sorted(file.name for file in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
    near = get_close_matches(path.name, names, n=1)
    if near:
        return f"{path}: no such file; did you mean '{path.parent / near[0]}'?"
    remedy = f"there are: {', '.join(names)}" if names else "give the path of a study file"
    return f"{path}: no such file; {remedy}"


def _plain(value: Any) -> Any:
    """`value` as YAML nodes that read back as the same value."""
    if is_dataclass(value) and not isinstance(value, type):
        return CommentedMap({field.name: _plain(getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, dict):
        mapping = CommentedMap({_plain(key): _plain(item) for key, item in value.items()})
        if not mapping:
            mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, tuple):
        sequence = CommentedSeq([_plain(item) for item in value])
        if not any(is_dataclass(item) for item in value):
            sequence.fa.set_flow_style()
        return sequence
    if isinstance(value, str):
        is_word = re.fullmatch(r"[A-Za-z][A-Za-z0-9_/ -]*[A-Za-z0-9]", value, re.ASCII)
        return value if is_word and value.lower() not in OFF_WORDS | ON_WORDS else DoubleQuotedScalarString(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None:
        return "none"  # "off" would be an amount of 0
    return value
