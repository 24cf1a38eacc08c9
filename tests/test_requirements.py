"""What the packages import is what pyproject.toml asks for: no library comes along only because another brings it."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from paths import ROOT

PACKAGES = ("audiotoken", "spatial", "guidance", "configs", "experiments")
EXTRAS = ("demo", "mcp", "world", "sweep", "cluster", "docs")  # all but dev, which is what tests need
# folders and files that are imported only when their extra is there
WHOLE = {
    "audiotoken/page/": "demo",
    "audiotoken/rating/app.py": "demo",
    "audiotoken/rating/screens.py": "demo",
    "experiments/notebook.py": "docs",
}
BROUGHT = {"audiotoken/comfy/nodes.py": {"comfy_api"}}  # by the program that loads the file, and on no index
INSTALLED = packages_distributions()


@cache
def declared() -> dict[str, set[str]]:
    """ "core" or the extra -> canonical names of distributions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {"core": project["dependencies"]} | {name: project["optional-dependencies"][name] for name in EXTRAS}
    return {name: {canonicalize_name(Requirement(line).name) for line in lines} for name, lines in asked.items()}


def imports(node: ast.AST, at_once: bool = True) -> Iterator[tuple[str, bool]]:
    """Each module that is imported, and whether it is as soon as the file is."""
    if isinstance(node, ast.Import):
        yield from ((each.name, at_once) for each in node.names)
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        yield str(node.module), at_once
    elif not isinstance(node, ast.expr | ast.ImportFrom):
        for child in ast.iter_child_nodes(node):
            yield from imports(child, at_once and not _is_deferred(node))


def _is_deferred(node: ast.AST) -> bool:
    """A function, or a block for type checkers alone."""
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def distributions(module: str) -> set[str]:
    """Of an import name; what is not installed here is taken to be called the same."""
    return {canonicalize_name(name) for name in INSTALLED.get(module, [module])}


def undeclared(file: str, text: str) -> list[str]:
    """A sentence for each import of `file` (relative to the checkout) that its requirements do not cover."""
    asked = declared()
    home = next((extra for folder, extra in WHOLE.items() if file.startswith(folder)), "core")
    said = []
    for module, at_once in imports(ast.parse(text)):
        top = module.partition(".")[0]
        known = asked["core"] | asked[home] if at_once else set().union(*asked.values())
        ours = top in sys.stdlib_module_names or top in PACKAGES or top in BROUGHT.get(file, ())
        if not (ours or distributions(top) & known):
            when = "at once" if at_once else "in a function"
            said.append(f"{file} imports {top} {when}, expected its distribution in pyproject.toml; add it.")
    return said


def sources() -> dict[str, str]:
    """Path in the checkout -> text of every module."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def test_every_import_is_asked_for():
    files = sources()
    said = [line for file, text in files.items() for line in undeclared(file, text)]
    assert len(files) > 150 and not said, "\n".join(said)


@pytest.mark.parametrize(
    ("file", "text", "missing"),
    [
        ("spatial/a.py", "import sklearn.mixture\nfrom PIL import Image\nimport os, av", []),
        ("spatial/a.py", "import pandas", ["pandas"]),
        ("spatial/a.py", "from yaml.nodes import Node", ["yaml"]),  # hydra's, not ours
        ("experiments/a.py", "import gradio", ["gradio"]),
        ("experiments/a.py", "def page():\n    import gradio", []),
        ("audiotoken/a.py", "if TYPE_CHECKING:\n    import gradio", []),
        ("audiotoken/page/a.py", "import gradio", []),
        ("audiotoken/page/a.py", "import submitit", ["submitit"]),
        ("experiments/a.py", "def draw():\n    import pytest", ["pytest"]),  # of the tests alone
    ],
)
def test_an_import_that_is_not_asked_for_is_named(file, text, missing):
    assert [line.split(" imports ")[1].split()[0] for line in undeclared(file, text)] == missing


def test_folders_of_an_extra_are_imported_in_functions_only():
    for folder in WHOLE:
        module = folder.replace("/", ".")
        for file, text in sources().items():
            if module in text and not file.startswith(f"{folder}/"):
                at_once = [name for name, at_once in imports(ast.parse(text)) if at_once]
                assert not [name for name in at_once if f"{name}.".startswith(f"{module}.")], file
