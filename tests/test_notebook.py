"""The tutorial's notebook is its page, and running it prints and shows what the notebook says."""

import ast
import contextlib
import io
import re
from base64 import b64decode

import nbformat
import numpy as np
import pytest
from paths import ROOT
from PIL import Image

PAGE = ROOT / "docs" / "tutorial.md"
NOTEBOOK = PAGE.with_suffix(".ipynb")
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")
UNITS = 2  # of the last digit by which a printed number may differ on another machine
FAR = 12.0  # of 255: mean difference from which two pictures are not the same
RUN_AGAIN = "run python -m experiments.notebook"

notebooks = pytest.importorskip("experiments.notebook", reason="jupytext and nbclient are not installed: .[docs]")


def printed(cell) -> str:
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def pictures(cell) -> list[Image.Image]:
    data = [output.data["image/jpeg"] for output in cell.outputs if "image/jpeg" in output.get("data", {})]
    return [Image.open(io.BytesIO(b64decode(each))).convert("RGB") for each in data]


def run_cell(source: str, names: dict) -> tuple[str, list[Image.Image]]:
    """What a cell prints and shows, run in this process, which has imported torch and its like already."""
    *statements, last = ast.parse(source).body
    expression = last.value if isinstance(last, ast.Expr) else None
    module = ast.Module(statements if expression else [*statements, last], [])
    with contextlib.redirect_stdout(io.StringIO()) as said:
        exec(compile(module, "cell", "exec"), names)
        shown = eval(compile(ast.Expression(expression), "cell", "eval"), names) if expression else None
    return said.getvalue(), [shown.convert("RGB")] if isinstance(shown, Image.Image) else []


def difference(text: str, expected: str) -> str:
    """How a printed text differs from the expected one, or "". Numbers may differ a little; spaces do not count."""
    if NUMBER.sub("#", text).split() != NUMBER.sub("#", expected).split():
        return f"printed {text!r}, expected {expected!r}"
    for number, wanted in zip(NUMBER.findall(text), NUMBER.findall(expected), strict=True):
        unit = 10.0 ** -len(wanted.partition(".")[2])
        if abs(float(number) - float(wanted)) > (UNITS + 0.01) * unit:
            return f"printed {number}, expected {wanted}"
    return ""


@pytest.mark.slow
def test_running_the_tutorial_gives_the_outputs_of_the_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.cell_type == "code":
            said, shown = run_cell(cell.source, names)
            assert not difference(said, printed(cell)), cell.source
            wanted = pictures(cell)
            assert [each.size for each in shown] == [each.size for each in wanted], cell.source
            for one, other in zip(shown, wanted, strict=True):
                apart = np.abs(np.asarray(one, float) - np.asarray(other, float)).mean()
                assert apart < FAR, f"{cell.source}: {apart:.1f}; {RUN_AGAIN}"


@pytest.mark.slow
def test_a_page_is_executed_in_a_kernel_and_a_folder_of_its_own(tmp_path):
    page = tmp_path / "page.md"
    cells = (
        "import sys\nprint('to be read')\nprint('hidden', file=sys.stderr)",
        "from pathlib import Path\nfrom PIL import Image\nPath('left').touch()\nImage.new('RGB', (8, 4), 'red')",
    )
    page.write_text("# A page\n\n" + "\n\n".join(f"```python\n{each}\n```" for each in cells))
    ran = [cell for cell in notebooks.execute(notebooks.read_page(page)).cells if cell.cell_type == "code"]
    assert [printed(cell) for cell in ran] == ["to be read\n", ""]
    assert [each.size for each in pictures(ran[1])] == [(8, 4)] and len(ran[0].outputs) == 1
    assert [set(each.data) for each in ran[1].outputs] == [{"image/jpeg"}]
    assert [path.name for path in tmp_path.iterdir()] == ["page.md"]


def test_the_notebook_is_the_page():
    page, notebook = notebooks.read_page(PAGE), nbformat.read(NOTEBOOK, as_version=4)
    assert [cell.source for cell in page.cells] == [cell.source for cell in notebook.cells], RUN_AGAIN


def test_the_notebook_is_whole_and_small():
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert len(cells) >= 12 and all(cell.outputs for cell in cells if "print(" in cell.source)
    assert sum(len(pictures(cell)) for cell in cells) >= 5
    assert NOTEBOOK.stat().st_size < 250_000
    assert "stderr" not in NOTEBOOK.read_text()


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("off by 3.5 at +29", True),
        ("off by 3.4  at +28\n", True),
        ("off by 3.8 at +29", False),
        ("on by 3.4 at +29", False),
    ],
)
def test_small_differences_of_numbers_are_allowed(text, same):
    assert (not difference(text, "off by 3.4 at +29\n")) is same
