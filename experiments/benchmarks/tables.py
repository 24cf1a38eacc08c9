"""Rows of a picture benchmark as Markdown and JSON, and a contact sheet of the pictures."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audiotoken.writing import write_bytes
from experiments.world.measure import write_sheet


def format_name(things: int, method: str, control: str) -> str:
    return "-".join([str(things), method, *[control] * bool(control)])


def format_row(line: Any, shares: Sequence[float], rest: Sequence[str]) -> list[str]:
    """The cells of a row: the case, shares in percent (empty for NaN), and the remaining cells."""
    cells = [str(line.things), f"{line.method} {line.control}".strip(), str(line.pictures)]
    cells += ["" if math.isnan(share) else f"{100 * share:.1f}" for share in shares]
    return [*cells, *rest]


def write_lines(lines: Sequence[Any], text: str, folder: Path) -> None:
    """Write rows.json and table.md, each atomically."""
    import json

    write_bytes(json.dumps([asdict(line) for line in lines], indent=1).encode(), folder / "rows.json")
    write_bytes((text + "\n").encode(), folder / "table.md")


def write_sample_sheet(images: Sequence[Any], path: Path, most: int = 48) -> None:
    write_sheet(images[:most], path, columns=8)
