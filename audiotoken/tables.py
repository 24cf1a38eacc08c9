"""Markdown tables, all made in one way."""

from collections.abc import Iterable, Sequence

from tabulate import tabulate

SIDES = {"l": "left", "r": "right"}


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[object]], align: str = "l") -> str:
    """A Markdown table whose columns are padded to one width; None is an empty cell, and "|" in a cell is escaped.

    align: "l" or "r" for each column; the last letter holds for all further columns.
    """
    sides = [SIDES[align[min(i, len(align) - 1)]] for i in range(len(columns))]
    cells = [[_escape(cell) for cell in row] for row in rows]
    return tabulate(cells, [*map(_escape, columns)], tablefmt="pipe", colalign=sides, disable_numparse=True)


def _escape(cell: object) -> str:
    return "" if cell is None else " ".join(str(cell).split()).replace("|", "\\|")
