"""losses.csv of a training run: a line for each step, its losses between its number and two other values.

A damaged file says what it can: a row that is not whole is left out, and is none of the steps that are plotted.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from audiotoken.errors import DataError
from audiotoken.writing import write_bytes

STEP, OTHERS = "step", ("learning_rate", "images_per_second")
NO_LOSSES = (STEP, *OTHERS)


@dataclass(frozen=True)
class LossTable:
    """The losses of a run."""

    steps: tuple[int, ...]  # ascending, from 1
    losses: dict[str, list[float]]  # by name, one value for each of `steps`


def read_losses(path: Path) -> LossTable:
    """The whole rows of the file; of a step that was done again the last one counts.

    Raises DataError if its first line does not name the step and a loss.
    """
    head, rows = _read_lines(path)
    names = _read_names(head, path)
    read = [values for row in rows if (values := _read_row(names, row)) is not None]
    whole = {int(values[STEP]): values for values in read}
    steps = tuple(sorted(whole))
    return LossTable(steps, {name: [whole[step][name] for step in steps] for name in names if name not in NO_LOSSES})


def check_columns(names: list[str], path: Path) -> None:
    """DataError if the file has lines, but other columns than the rows that are to follow."""
    head, _ = _read_lines(path)
    if head and _read_names(head, path) != names:
        raise DataError(
            f"Cannot add to {path}: its first line is {head.strip()[:200]!r}, expected {','.join(names)}; move it away."
        )


def drop_steps_from(step: int, path: Path) -> None:
    """Remove the steps that a killed run wrote after its last checkpoint, since they are done again, and half rows."""
    head, rows = _read_lines(path)
    if not head:
        return
    names = _read_names(head, path)
    kept = [row for row in rows if (values := _read_row(names, row)) is not None and values[STEP] < step]
    if len(kept) < len(rows) or not head.endswith("\n"):
        write_bytes("".join([head.rstrip("\n") + "\n", *kept]).encode(), path)


def _read_lines(path: Path) -> tuple[str, list[str]]:
    """The first line and the others, each with its end; bytes that are no text are replaced."""
    head, *rows = path.read_text(encoding="utf-8-sig", errors="replace").splitlines(keepends=True) or [""]
    return head, rows


def _read_names(head: str, path: Path) -> list[str]:
    names = head.strip().split(",") if head else []
    if head and (STEP not in names or not set(names) - set(NO_LOSSES)):
        raise DataError(
            f"Cannot read {path}: its first line does not name the step and the losses, as in step,total; move it away."
        )
    return names


def _read_row(names: list[str], row: str) -> dict[str, float] | None:
    """A finite number for each name, and a whole one for the step; None for any other row."""
    try:
        values = dict(zip(names, map(float, row.rstrip("\n").split(",")), strict=True))
    except ValueError:
        return None
    step = values[STEP]
    whole = row.endswith("\n") and all(map(math.isfinite, values.values())) and step.is_integer()
    return values if whole and 1 <= step < 2**53 else None
