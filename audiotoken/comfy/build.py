"""Build the nodes for ComfyUI as a folder of their own, which needs numpy and scipy only.

    python -m audiotoken.comfy.build FOLDER

FOLDER/spatial-audiotoken-nodes then goes into ComfyUI/custom_nodes, or to its registry (`comfy node publish` there). It
holds the modules that the nodes import and no others; they import each other by dots, so that neither an installed
spatial-audiotoken nor another package called spatial or guidance is in their way.
"""

import argparse
import ast
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from audiotoken.errors import AudioTokenError, OptionError

NAME = "spatial-audiotoken-nodes"
ENTRY = "audiotoken.comfy.nodes"
OURS = ("audiotoken", "spatial", "guidance")
PACKAGE = Path(__file__).parent / "package"  # what lies beside the modules: pyproject.toml, README.md, workflows
IMPORT = re.compile(rf"^( *from )((?:{'|'.join(OURS)})(?:\.\w+)*)( import )", re.M)
SHAPES = re.compile(r"^from jaxtyping import ", re.M)  # annotations that only tests check: `package/shapes.py`
INIT = f'''"""Sound is the layout: who is where in a stereo recording, as boxes for generators that read them."""

from .{ENTRY} import comfy_entrypoint

__all__ = ["comfy_entrypoint"]
'''


def build(folder: Path) -> Path:
    """Write the folder of the nodes into `folder`, whole or not at all, in place of an older one; its path.

    OptionError where something else is there, or where nothing can be written.
    """
    target, draft = folder / NAME, folder / f".{NAME}"
    if target.exists() and not (target / "pyproject.toml").is_file():
        raise OptionError(f"Cannot write {target}: something else is there; move it away, or choose another folder.")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(PACKAGE, draft, ignore=shutil.ignore_patterns("__pycache__"))
        _write_modules(draft)
        _write_beside(draft)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise OptionError(f"Cannot write {target}: {error.strerror or error}; choose another folder.") from None
    return target


def collect_modules(entry: str = ENTRY) -> dict[str, Path]:
    """Name -> file of each module of ours that `entry` imports, however far; packages that are only passed are left."""
    found: dict[str, Path] = {}
    todo = [entry]
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = _find_file(name)
            todo += sorted(_find_imports(found[name]))
    return found


def _find_imports(path: Path) -> set[str]:
    """The modules of ours that a file imports by `from ... import`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in OURS:
            for each in node.names:
                inner = f"{node.module}.{each.name}"
                names.add(inner if _is_module(inner) else node.module)
    return names


def _is_module(name: str) -> bool:
    *parents, last = name.split(".")
    folder = _find_folder(parents[0]).joinpath(*parents[1:])
    return (folder / f"{last}.py").is_file() or (folder / last / "__init__.py").is_file()


def _find_file(name: str) -> Path:
    top, *rest = name.split(".")
    path = _find_folder(top).joinpath(*rest)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _find_folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None  # installed with this module
    return Path(spec.origin).parent


def _write_modules(draft: Path) -> None:
    for name, path in collect_modules().items():
        top = name.split(".")[0]
        place = draft / top / path.relative_to(_find_folder(top))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_rewrite(path.read_text(encoding="utf-8"), len(place.relative_to(draft).parts)), "utf-8")
        _fill_packages(place.parent, draft)
    for data in sorted(_find_folder("spatial").glob("*.npz")):
        shutil.copyfile(data, draft / "spatial" / data.name)


def _rewrite(source: str, depth: int) -> str:
    """The source with imports of ours by dots: a file `depth` folders and names below the top."""
    dots = "." * depth
    return SHAPES.sub(f"from {dots}shapes import ", IMPORT.sub(rf"\g<1>{dots}\g<2>\g<3>", source))


def _fill_packages(folder: Path, draft: Path) -> None:
    """An empty `__init__.py` in each folder up to the top; those of the checkout import more than is needed."""
    while folder != draft:
        (folder / "__init__.py").touch()
        folder = folder.parent


def _write_beside(draft: Path) -> None:
    """`__init__.py` for ComfyUI, requirements.txt for its manager, and the licence."""
    (draft / "__init__.py").write_text(INIT, "utf-8")
    project = (draft / "pyproject.toml").read_text("utf-8")
    needed = re.search(r"^dependencies = \[(.*)\]", project, re.M)
    assert needed is not None  # of our own file
    (draft / "requirements.txt").write_text("\n".join(re.findall(r'"([^"]+)"', needed[1])) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m audiotoken.comfy.build", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="where to write the folder of the nodes, such as dist")
    folder = parser.parse_args().folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        print(f"wrote  {build(folder)}")
    except (AudioTokenError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
