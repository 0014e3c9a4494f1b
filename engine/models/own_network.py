"""A user's own network: `package.module:build`, imported and given its units."""

import hashlib
import importlib
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from torch import nn

from engine.errors import StrategyError, StudyFileError
from engine.models.network import NamedUnits, Network
from engine.permission import require_allowed


def build_own(model: str, channels: int, unit_modules: str = "") -> Network:
    """What `package.module:build` gives, with its units: those of `unit_modules` (JSON), else its own `units()`.

    `build` is called with `classes=channels` where it takes it. Raises StudyFileError where it cannot be imported
    or gives no module, StrategyError where units are missing or name modules that it does not have, and StoreError,
    with nothing imported, where nobody allowed it (`engine.permission`).
    """
    with _current_directory_importable():
        module = _imported(model)
        name = model.partition(":")[2]
        if not hasattr(module, name):
            near = get_close_matches(name, [known for known in vars(module) if not known.startswith("_")], n=1)
            hint = f"did you mean '{near[0]}'?" if near else "write the name of a function or class in it"
            raise StudyFileError(f"network '{model}': module '{module.__name__}' has no '{name}'; {hint}")
        make = getattr(module, name)
        if not callable(make):
            raise StudyFileError(
                f"network '{model}': '{name}' is a {type(make).__name__}; expected a function or class that gives a "
                "torch.nn.Module"
            )
        try:
            network = make(classes=channels) if _takes_classes(make) else make()
        except Exception as error:  # the user's code, whose every mistake is the user's to put right
            raise StudyFileError(f"network '{model}': {name}() failed: {said(error)}") from error
    if not isinstance(network, nn.Module):
        raise StudyFileError(f"network '{model}': {name}() gave a {type(network).__name__}; expected a torch.nn.Module")
    return _with_units(model, network, unit_modules)


def network_code(model: str) -> str:
    """SHA-256, hex, of the source file of a user's own network; "" for a built-in one.

    Of that one file: what it imports from other files of the user's is not seen. Raises StudyFileError, and
    StoreError as `build_own`.
    """
    if ":" not in model:
        return ""
    with _current_directory_importable():
        module = _imported(model)
    if not module.__file__:
        raise StudyFileError(f"network '{model}': module '{module.__name__}' is a folder; name the file in it")
    return hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()


def said(error: Exception) -> str:
    """What went wrong in a user's code, in one line, with the place in the user's own file where it was there."""
    ours = str(Path(__file__).parents[1])
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    own = [place for place in places if not place[0].startswith((ours, "<")) and "site-packages" not in place[0]]
    message = (str(error).strip().splitlines() or [""])[0]
    where = f" ({Path(own[-1][0]).name}, line {own[-1][1]})" if own else ""
    return f"{type(error).__name__}: {message}{where}"


@contextmanager
def _current_directory_importable() -> Iterator[None]:
    """A study file's `package.module` may lie where the command runs, which an installed command does not search."""
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.append(here)
    try:
        yield
    finally:
        if added and here in sys.path:
            sys.path.remove(here)


def _imported(model: str) -> ModuleType:
    require_allowed(model)
    name = model.partition(":")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise StudyFileError(f"network '{model}': importing '{name}' failed: {said(error)}") from error
        raise StudyFileError(
            f"network '{model}': there is no module '{error.name}'; is it on PYTHONPATH, or in the current directory "
            f"{Path.cwd()}?"
        ) from error
    except Exception as error:  # as above
        raise StudyFileError(f"network '{model}': importing '{name}' failed: {said(error)}") from error


def _takes_classes(make: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(make).parameters
    except ValueError:  # a callable without a signature, such as one written in C
        return False
    return "classes" in parameters or any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())


def _with_units(model: str, network: nn.Module, unit_modules: str) -> Network:
    if not unit_modules:
        if callable(getattr(network, "units", None)) and not isinstance(network.units, nn.Module):
            return cast(Network, network)
        example = "; ".join(f"{name}: [{name}]" for name, _ in network.named_children())
        raise StrategyError(
            f"network '{model}' names no units; write them as 'model.units' in the study file (such as {example}), "
            "or give it a method units()"
        )
    named = json.loads(unit_modules)
    known = dict(network.named_modules())
    problems = []
    for unit, paths in named.items():
        for path in paths:
            if path not in known or not path:
                near = get_close_matches(path, known, n=1)
                children = ", ".join(name for name, _ in network.named_children())
                hint = f"did you mean '{near[0]}'?" if near else f"its modules are {children}"
                problems.append(f"network '{model}': unit '{unit}' names '{path}', which it does not have; {hint}")
    if problems:
        raise StrategyError(problems)
    return NamedUnits(network, {unit: [known[path] for path in paths] for unit, paths in named.items()})
