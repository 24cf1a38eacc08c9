"""The rows of a benchmark of pictures: in Markdown, in JSON, and as a sheet of what was drawn."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audiotoken.writing import write_bytes
from experiments.world.measure import sheet


def name_of(things: int, method: str, control: str) -> str:
    return "-".join([str(things), method, *[control] * bool(control)])


def row_of(line: Any, shares: Sequence[float], rest: Sequence[str]) -> str:
    """A row of Markdown: what was drawn and how, shares in percent (nothing where there is no number), and the rest."""
    cells = [str(line.things), f"{line.method} {line.control}".strip(), str(line.pictures)]
    cells += ["" if math.isnan(share) else f"{100 * share:.1f}" for share in shares]
    return "| " + " | ".join([*cells, *rest]) + " |"


def markdown(columns: Sequence[str], rows: Iterable[str]) -> str:
    return "\n".join(["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|", *rows])


def write_lines(lines: Sequence[Any], text: str, folder: Path) -> None:
    """rows.json and table.md, each whole."""
    import json

    write_bytes(json.dumps([asdict(line) for line in lines], indent=1).encode(), folder / "rows.json")
    write_bytes((text + "\n").encode(), folder / "table.md")


def sheet_of(images: Sequence[Any], path: Path, most: int = 48) -> None:
    sheet(images[:most], path, columns=8)
