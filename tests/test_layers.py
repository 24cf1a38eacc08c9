"""Floors: imports of ours stand at the top of a file, point down, and go in no circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from paths import ROOT

# what a room may import besides itself; the deepest name that fits a module is its room
CORE = {"audiotoken"}
ROOF = {*CORE, "spatial", "guidance", "audiotoken.stereo"}
JUDGES = {*ROOF, "audiotoken.report", "audiotoken.evaluation"}
TASKS = {*JUDGES, "audiotoken.rating", "audiotoken.assembly"}
SHELL = {*TASKS, "audiotoken.tasks"}
ROOMS = {
    "spatial": set(),
    "guidance": set(),
    "audiotoken": set(),
    "audiotoken.assembly": CORE,
    "audiotoken.stereo": ROOF,
    "audiotoken.report": ROOF,
    "audiotoken.evaluation": {*ROOF, "audiotoken.report"},
    "audiotoken.rating": ROOF,
    "audiotoken.comfy": ROOF,
    "audiotoken.tasks": TASKS,
    "audiotoken.page": SHELL,
    "audiotoken.cli": {*SHELL, "audiotoken.page"},
    "experiments": {*SHELL, "audiotoken.page", "audiotoken.cli"},
}
OURS = ("audiotoken", "spatial", "guidance", "experiments")
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in OURS
    for path in sorted((ROOT / package).rglob("*.py"))
}


def room_of(module: str) -> str:
    return max((room for room in ROOMS if f"{module}.".startswith(f"{room}.")), key=len)


def imports_of(module: str, path: Path) -> tuple[set[str], list[str]]:
    """(modules of ours that are imported at the top, a line for each that is imported further in)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lazy = path.name == "__init__.py"  # its names for type checkers are imported by `__getattr__`
    top = [node for node in tree.body if not (isinstance(node, ast.If) and lazy)]
    checked = [each for node in tree.body if isinstance(node, ast.If) for each in node.body]
    outer, inner = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports by dots; write the whole name"
            names = [f"{node.module}.{each.name}" for each in node.names]
        elif isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        else:
            continue
        found = {name if name in FILES else name.rpartition(".")[0] for name in names if name.split(".")[0] in OURS}
        if node in top or (node in checked and not lazy):
            outer |= found
        elif found and node not in checked:
            inner.append(f"{path.relative_to(ROOT)}:{node.lineno}: {', '.join(sorted(found))}")
    return outer & set(FILES), inner


IMPORTS = {module: imports_of(module, path) for module, path in FILES.items()}


def test_imports_stand_at_the_top():
    assert [line for _, inner in IMPORTS.values() for line in inner] == []


def test_imports_point_down():
    arrows = [(module, name) for module, (outer, _) in IMPORTS.items() for name in sorted(outer)]
    rooms = {(module, name): (room_of(module), room_of(name)) for module, name in arrows}
    assert [arrow for arrow, (here, there) in rooms.items() if there not in {here, *ROOMS[here]}] == []


def test_there_is_no_circle():
    TopologicalSorter({module: outer - {module} for module, (outer, _) in IMPORTS.items()}).prepare()


@pytest.mark.parametrize("package", ["audiotoken", "audiotoken.stereo", "spatial", "guidance"])
def test_public_names_are_there(package):
    module = __import__(package, fromlist=["*"])
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert set(module.__all__) <= set(dir(module))
