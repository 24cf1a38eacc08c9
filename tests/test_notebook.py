"""The tutorial runs from top to bottom, prints and shows what the page says, and the notebook is the page."""

import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.notebook import cells_of, notebook, rewrite, run

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "tutorial.md"
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
UNITS = 2  # of its last digit, that a printed number may differ by on another machine
FAR = 12.0  # of 255: mean difference of pictures that are no longer the same


def differs(printed: str, said: str) -> str:
    """How what was printed is not what the page says, or "". Numbers may differ a little, spaces do not count."""
    ours, theirs = (NUMBER.sub("#", text).split() for text in (printed, said))
    if ours != theirs:
        return f"printed {printed!r}, the page says {said!r}"
    for mine, its in zip(NUMBER.findall(printed), NUMBER.findall(said), strict=True):
        unit = 10.0 ** -len(its.partition(".")[2])
        if abs(float(mine) - float(its)) > (UNITS + 0.01) * unit:
            return f"printed {mine}, the page says {its}"
    return ""


@pytest.mark.slow
def test_the_tutorial_prints_and_shows_what_it_says(tmp_path, monkeypatch):
    if not (files("audiotoken.mini") / "model_index.json").is_file():
        pytest.skip("the mini checkpoint is not in this checkout: make mini")
    monkeypatch.chdir(tmp_path)
    for cell, shown in run(cells_of(PAGE.read_text()), PAGE.name):
        assert not differs(shown.printed, cell.printed), cell.code
        assert bool(cell.file) == (shown.picture is not None), f"the page shows {cell.file!r} behind {cell.code}"
        if shown.picture is not None:
            said = Image.open(DOCS / cell.file).convert("RGB")
            assert shown.picture.size == said.size
            apart = np.abs(np.asarray(shown.picture.convert("RGB"), float) - np.asarray(said, float)).mean()
            assert apart < FAR, f"{cell.file}: {apart:.1f}; run python -m experiments.notebook docs/tutorial.md"


def test_the_notebook_is_the_page():
    assert PAGE.with_suffix(".ipynb").read_text() == notebook(PAGE.read_text(), DOCS), (
        "docs/tutorial.ipynb is not docs/tutorial.md: run python -m experiments.notebook docs/tutorial.md"
    )


def test_nothing_of_the_page_is_lost():
    page = PAGE.read_text()
    cells = cells_of(page)
    assert "".join(cell.text for cell in cells) == page
    assert sum(bool(cell.code) for cell in cells) == page.count("```python") >= 12
    assert sum(bool(cell.printed) for cell in cells) == page.count("```text") >= 10
    assert sum(bool(cell.file) for cell in cells) == page.count("![") >= 5


def test_the_pictures_are_few_and_small():
    pictures = [DOCS / cell.file for cell in cells_of(PAGE.read_text()) if cell.file]
    assert sum(path.stat().st_size for path in pictures) < 150_000
    assert {path.name for path in DOCS.glob("tutorial-*")} == {path.name for path in pictures}


CELLS = """Prose.

```python
from PIL import Image
a = 3
print("a is", a)
a * 1.5
```

```python
print(a + 1)
Image.new("RGB", (8, 4), "red")
```

![red](page-red.png)

The end.
"""


def test_a_page_is_written_from_what_its_cells_give(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(CELLS)
    rewrite(path)
    page = path.read_text()
    assert page == CELLS.replace("* 1.5\n```\n", "* 1.5\n```\n\n```text\na is 3\n4.5\n```\n").replace(
        '"red")\n```\n', '"red")\n```\n\n```text\n4\n```\n'
    )
    with Image.open(tmp_path / "page-red.png") as picture:
        assert picture.size == (8, 4) and picture.convert("RGB").getpixel((3, 2)) == (255, 0, 0)
    cells = json.loads((tmp_path / "page.ipynb").read_text())["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "code", "markdown"]
    assert cells[1]["outputs"][0]["text"] == ["a is 3\n", "4.5\n"]
    assert "image/png" in cells[2]["outputs"][1]["data"]
    rewrite(path)
    assert path.read_text() == page  # what is written is read again


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("off by 3.5 at +29", True),
        ("off by 3.4  at +28\n", True),
        ("off by 3.8 at +29", False),
        ("on by 3.4 at +29", False),
    ],
)
def test_what_differs_is_told(printed, same):
    assert (not differs(printed, "off by 3.4 at +29\n")) is same
