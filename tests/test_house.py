"""The house: imports point one way, names hide nothing, torch stays where it belongs, shapes are checked."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jaxtyping import TypeCheckError

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("engine", "dashboard", "whichlayers")
LEVELS = [
    {"errors"},
    {"permission"},
    {"architectures", "study_settings", "trial", "images", "metrics", "simulator", "natural_images", "circumference",
     "formula_images", "overlays", "clip_writing", "appearance", "optimiser", "warning_thresholds", "memory"},
    {"published", "significance", "splits", "datasets", "models", "augmentation", "config", "hardware", "progress",
     "phantoms"},
    {"strategies", "gradient_norms", "ranking", "store", "segmentation", "evaluation", "pretraining",
     "large_layers"},
    {"tasks", "steering", "studies", "live_curves", "trained", "trial_images"},
    {"training", "inference", "classifying", "features", "class_pretraining", "embeddings",
     "predicting", "prediction_files", "exporting", "model_card",
     "neighbours"},
    {"study", "combinations", "rates", "repeats", "changes", "reader_study"},
    {"preparation"},
    {"search", "estimates", "preview"},
]  # fmt: skip
"""Rooms of the engine, from those that import nothing to the one that may import all. Rooms of one level may
import each other where they do not go round in a circle."""
WITH_TORCH = {"models", "strategies", "augmentation", "segmentation", "evaluation", "pretraining"}
WITH_TORCH |= {"tasks", "class_pretraining", "training", "inference", "classifying", "features", "preparation"}
WITH_TORCH |= {"predicting", "prediction_files", "exporting", "model_card", "neighbours"}
WITH_TORCH |= {"gradient_norms", "search", "estimates", "preview", "large_layers", "optimiser"}
MODULES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "__pycache__" not in path.parts
)


def room(name: str) -> str | None:
    """The room of the engine that a dotted module name is in."""
    parts = name.split(".")
    return parts[1] if parts[0] == "engine" and len(parts) > 1 else None


def imports(path: Path) -> set[str]:
    """Dotted names that a module imports anywhere, `from engine import x` as `engine.x`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def level(name: str) -> int:
    """Level of a room; a room that is in no level is a mistake of this file."""
    return next(number for number, rooms in enumerate(LEVELS) if name in rooms)


def upward_imports(paths: list[Path]) -> list[str]:
    """`module -> what it imports` for every import that points up."""
    wrong = []
    for path in paths:
        own = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        own_room = room(own)
        for name in imports(path):
            package, other = name.split(".")[0], room(name)
            outward = package in PACKAGES and PACKAGES.index(package) > PACKAGES.index(own.split(".")[0])
            upward = bool(own_room and other and own_room != other and level(other) > level(own_room))
            drawing = own.startswith("engine") and package in ("streamlit", "gradio", "plotly")
            if outward or upward or drawing:
                wrong.append(f"{own} -> {name}")
    return wrong


def test_imports_point_one_way() -> None:
    assert upward_imports(MODULES) == []


def test_an_import_that_points_up_would_be_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "engine").mkdir()
    wrong = tmp_path / "engine" / "metrics.py"
    wrong.write_text("import plotly\nfrom dashboard import server\nfrom engine.search import run\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert len(upward_imports([wrong])) == 3


def test_every_room_has_its_level() -> None:
    rooms = {room(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in MODULES}
    assert rooms - {None, "__init__"} == set().union(*LEVELS)


def test_rooms_of_one_level_do_not_go_round_in_a_circle() -> None:
    edges: dict[str, set[str]] = {}
    for path in MODULES:
        own = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
        if own and own != "__init__":
            others = {room(name) for name in imports(path)} - {own, None}
            edges.setdefault(own, set()).update(str(other) for other in others)

    def reach(start: str, seen: set[str]) -> set[str]:
        for other in edges.get(start, set()) - seen:
            seen.add(other)
            reach(other, seen)
        return seen

    assert [name for name in edges if name in reach(name, set())] == []


def test_no_module_hides_the_standard_library_or_a_dependency() -> None:
    hidden = []
    for path in MODULES:
        name = path.stem if path.stem != "__init__" else path.parent.name
        if name in PACKAGES or name == "__main__":
            continue
        specification = importlib.util.find_spec(name) if name.isidentifier() else None
        if name in sys.stdlib_module_names or (specification and "site-packages" in str(specification.origin)):
            hidden.append(str(path.relative_to(ROOT)))
    assert hidden == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [
        path.name for path in MODULES if path.stem in ("utils", "util", "common", "helpers", "misc", "core", "base")
    ] == []


def test_modules_stay_short_enough_to_be_read() -> None:
    assert [path.name for path in MODULES if len(path.read_text().splitlines()) > 450] == []


@pytest.mark.parametrize(
    "module",
    [
        *sorted(f"engine.{name}" for rooms in LEVELS for name in rooms - WITH_TORCH),
        "dashboard.data",
        "dashboard.server",
        "whichlayers.cli",
    ],
)
def test_planning_storing_and_showing_start_without_torch(module: str) -> None:
    code = f"import {module}, sys; sys.exit(any(name in sys.modules for name in ('torch', 'ray')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_check_for_torch_can_fail() -> None:
    code = "import engine.training, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 1


def test_a_wrong_shape_is_caught_while_testing() -> None:
    from engine.metrics import dice

    with pytest.raises(TypeCheckError):
        dice(np.zeros((2, 4, 4), dtype=bool), np.zeros((2, 4, 5), dtype=bool))
