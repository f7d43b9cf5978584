"""The house: imports point down, and light commands stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import eventx

SOURCE = Path(eventx.__file__).parent
FLOORS = [
    {"spans", "schema", "text", "recipe", "markup"},
    {"labels", "split", "encode", "metrics", "reading", "writing", "view", "network", "inference", "cue"}
    | {"model", "runs"},
    {"notes", "tagger", "batches", "warmstart", "callbacks", "train", "graph", "baselines", "unlabelled"}
    | {"groups", "plots", "curve", "inputs", "marks", "report"},
    {"calibrate", "export", "pretrain", "distil", "crossfit", "predictions", "doubts", "component"}
    | {"brat", "conll", "docbin", "doccano", "labelstudio", "prodigy", "spancsv", "xmi"},
    {"evaluate", "errors", "compare", "formats", "job", "reviewing"},
    {"page", "terminal", "review"},
    {"command"},
    {"desk_commands", "review_commands", "score_commands", "train_commands", "label_commands"},
    {"cli"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
SAME_FLOOR = {
    ("export", "calibrate"),
    ("network", "encode"),
    ("inference", "network"),
    ("inference", "encode"),
    ("model", "encode"),
    ("labels", "split"),
    ("runs", "labels"),
    ("train", "batches"),
    ("train", "callbacks"),
    ("train", "warmstart"),
    ("recipe", "schema"),
} | {("spans", "markup")}
"""The only imports that stay on a floor."""
HEAVY = ("torch", "transformers", "datasets", "sklearn", "onnx")


def rooms_imported(file: Path) -> set[str]:
    """Return the rooms of the package that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "eventx":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("eventx.")}
    return found & FLOOR.keys()


def test_every_room_has_a_floor():
    rooms = {file.stem for file in SOURCE.glob("*.py")} - {"__init__", "__main__"}
    assert rooms == FLOOR.keys()


@pytest.mark.parametrize("room", sorted(FLOOR))
def test_imports_point_down(room):
    for other in rooms_imported(SOURCE / f"{room}.py"):
        assert FLOOR[other] < FLOOR[room] or (room, other) in SAME_FLOOR, f"{room} imports {other}"


def test_library_prints_nothing():
    for file in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"print", "exit"}, f"{file.name}:{node.lineno}"


def loaded_by(*arguments: str) -> set[str]:
    """Return the modules that running eventx with these arguments loads."""
    code = (
        "import sys, contextlib, io\n"
        "from eventx.cli import app\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        f"    app({list(arguments)!r})\n"
        "print(*sys.modules, sep='\\n')"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return set(output.split())


def test_help_loads_no_runtime():
    loaded = loaded_by("--help")
    assert not loaded & {"onnxruntime", "numpy", "tokenizers", *HEAVY}


def test_tagging_loads_no_training_library(seeds):
    loaded = loaded_by("tag", str(seeds[0]), "--format", "jsonl")
    assert "onnxruntime" in loaded
    assert not loaded & set(HEAVY)
    assert "rich" not in loaded or "rich.table" not in loaded


def test_importing_the_package_loads_no_runtime():
    code = "import sys, eventx; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not set(loaded) & {"onnxruntime", "numpy", "tokenizers", "rich", *HEAVY}


def test_front_door():
    assert sorted(eventx.__all__) == sorted(
        ["Document", "Event", "ModelError", "Span", "Tagger", "__version__", "load"]
    )
    for name in eventx.__all__:
        assert getattr(eventx, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = eventx.nothing
