"""Run docs/tutorial.md and write it, with its outputs, as docs/tutorial.ipynb.

    python -m experiments.notebook

Jupytext reads the Markdown page as a notebook and nbclient executes it.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
import nbformat
from nbclient import NotebookClient

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tutorial.md"


def read_page(page: Path) -> nbformat.NotebookNode:
    """Read the page as a notebook without outputs; cell ids are numbers, so the same page gives the same file."""
    notebook = jupytext.read(page)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook


def execute(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Run the notebook in a temporary folder and add its outputs, with each picture once, as JPEG."""
    with TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", record_timing=False, resources=resources).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [_slim(output) for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata.pop("language_info", None)
    return notebook


def _slim(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    if "image/jpeg" in output.get("data", {}):
        output.data = {"image/jpeg": output.data["image/jpeg"]}
    return output


def main() -> None:
    notebook = execute(read_page(PAGE))
    nbformat.write(notebook, PAGE.with_suffix(".ipynb"))
    print(f"wrote {PAGE.with_suffix('.ipynb').name}")


if __name__ == "__main__":
    main()
