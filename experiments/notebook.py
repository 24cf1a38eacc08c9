"""A page of docs/ that is a notebook: prose, cells of code, what each prints and shows.

    python -m experiments.notebook docs/tutorial.md      # runs it; writes what it prints and shows, and the .ipynb

A cell is a fenced block of Python. What it prints is the block of text right behind it; the picture that its last line
is, if it is one, is the image behind that, whose name begins with the page's. Nothing is typed by hand: run it again.
"""

import argparse
import ast
import json
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from audiotoken.tasks.sentences import errors_as_sentences
from audiotoken.writing import write_bytes

CODE = re.compile(
    r"^```python\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<printed>.*?)^```\n)?"
    r"(?:\n(?P<image>!\[[^\]]*\]\((?P<file>[\w-]+\.(?:png|jpg))\))\n)?",
    re.MULTILINE | re.DOTALL,
)
QUALITY: dict[str, dict[str, Any]] = {".jpg": {"quality": 85}, ".png": {"optimize": True}}
COLOURS = 64  # of a .png: a figure has no more


@dataclass(frozen=True)
class Cell:
    """A piece of a page; of prose `code` is empty."""

    text: str  # as it stands in the page
    code: str = ""
    printed: str = ""
    image: str = ""  # the whole ![...](...)
    file: str = ""


@dataclass(frozen=True, eq=False)
class Shown:
    """What running a cell gave."""

    printed: str
    picture: Image.Image | None


def cells_of(page: str) -> list[Cell]:
    """The pieces of a page in order; together they are the page again."""
    found, at = [], 0
    for hit in CODE.finditer(page):
        found += [Cell(page[at : hit.start()])] * (at < hit.start())
        found.append(Cell(hit[0], hit["code"], hit["printed"] or "", hit["image"] or "", hit["file"] or ""))
        at = hit.end()
    return found + [Cell(page[at:])] * (at < len(page))


def run(cells: Sequence[Cell], name: str = "page") -> Iterator[tuple[Cell, Shown]]:
    """Each cell of code with what it gives, in one namespace, as a notebook does; files go to the current folder."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate((each for each in cells if each.code), 1):
        with redirect_stdout(StringIO()) as printed:
            value = _executed(cell.code, f"{name}, cell {number}", names)
            if value is not None and not isinstance(value, Image.Image):
                print(repr(value))
        yield cell, Shown(printed.getvalue(), value if isinstance(value, Image.Image) else None)


def _executed(code: str, name: str, names: dict[str, Any]) -> Any:
    """The value of the last line, where that is an expression."""
    *body, last = ast.parse(code, name).body
    if not isinstance(last, ast.Expr):
        exec(compile(code, name, "exec"), names)
        return None
    exec(compile(ast.Module(body, []), name, "exec"), names)
    return eval(compile(ast.Expression(last.value), name, "eval"), names)


def notebook(page: str, folder: Path) -> str:
    """The page as a Jupyter notebook, format 4.4, with its output; pictures are read from `folder`."""
    cells = [_code(cell, folder) if cell.code else _prose(cell) for cell in cells_of(page) if cell.text.strip()]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 4}, indent=1) + "\n"


def _prose(cell: Cell) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": _lines(cell.text.strip())}


def _code(cell: Cell, folder: Path) -> dict[str, Any]:
    outputs: list[dict[str, Any]] = []
    if cell.printed:
        outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(cell.printed)})
    if cell.file:
        kind = "image/png" if cell.file.endswith(".png") else "image/jpeg"
        data = {kind: b64encode((folder / cell.file).read_bytes()).decode()}
        outputs.append({"output_type": "display_data", "metadata": {}, "data": data})
    source = _lines(cell.code.rstrip())
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "source": source, "outputs": outputs}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def written(cell: Cell, shown: Shown, stem: str, number: int) -> Cell:
    """The cell with what it gave in place of what the page said."""
    printed = f"\n```text\n{shown.printed}```\n" if shown.printed else ""
    file = (cell.file or f"{stem}-{number}.png") if shown.picture is not None else ""
    image = cell.image or f"![what the cell shows]({file})"
    text = f"```python\n{cell.code}```\n{printed}" + (f"\n{image}\n" if file else "")
    return Cell(text, cell.code, shown.printed, image if file else "", file)


def encoded(picture: Image.Image, file: str) -> bytes:
    """A small file of it, by its suffix."""
    content, suffix = BytesIO(), Path(file).suffix
    picture = picture.convert("RGB")
    if suffix == ".png":
        picture = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(content, {".png": "PNG", ".jpg": "JPEG"}[suffix], **QUALITY[suffix])
    return content.getvalue()


def rewrite(path: Path) -> None:
    """Run a page, and write it, its pictures and its notebook anew."""
    cells = cells_of(path.read_text())
    with TemporaryDirectory() as folder, chdir(folder):
        ran = list(run(cells, path.name))
    given = iter([written(*each, path.stem, number) for number, each in enumerate(ran, 1)])
    done = [next(given) if cell.code else cell for cell in cells]
    pictures = [shown.picture for _, shown in ran]
    for cell, picture in zip((each for each in done if each.code), pictures, strict=True):
        if picture is not None:
            write_bytes(encoded(picture, cell.file), path.parent / cell.file)
    page = "".join(cell.text for cell in done)
    write_bytes(page.encode(), path)
    write_bytes(notebook(page, path.parent).encode(), path.with_suffix(".ipynb"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path, help="a Markdown file; the notebook is written beside it")
    path = parser.parse_args().page.resolve()
    rewrite(path)
    print(f"wrote {path.with_suffix('.ipynb').name}, and {path.name} with what its cells printed and showed")


if __name__ == "__main__":
    with errors_as_sentences():
        main()
