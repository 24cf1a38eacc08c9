"""Scores of one system for each stereo setup, dry and in rooms."""

from collections.abc import Mapping, Sequence

from audiotoken.tables import markdown_table
from experiments.benchmarks.spatial_goals import Pool, f_score, mean
from experiments.benchmarks.spatial_score import COUNT_GIVEN, Scored

COLUMNS: tuple[tuple[str, bool, str | None, Pool, int], ...] = (  # name, number of sources given, kind, pool, digits
    ("setup recognised, %", False, None, mean("setup", 100), 0),
    ("error of sources found, ° \\*", True, "static", mean("error"), 1),
    ("within 10°, % \\*", True, "static", mean("recalled", 100), 0),
    ("side correct, %", False, "static", mean("side", 100), 0),
    ("F at 10°, %", False, "static", f_score, 0),
    ("number correct, %", False, "static", mean("count", 100), 0),
    ("track error, ° \\*", True, "moving", mean("track"), 1),
    ("SI-SDR improvement, dB \\*", True, "static", mean("sdri"), 1),
    ("label correct within 10°, %", False, "static", mean("labelled", 100), 0),
)


def format_conditions(scored: Mapping[str, Sequence[Scored]], system: str = "listen") -> str:
    """A Markdown table of one system, a line for each setup dry and in a room; empty if the system did not run."""
    without_count, with_count = scored.get(system, ()), scored.get(system + COUNT_GIVEN, ())
    kinds = sorted({_condition(one) for one in [*without_count, *with_count]})
    if not kinds:
        return ""
    rows = []
    for kind in kinds:
        cells = [
            kind[0],
            "reverberant" if kind[1] else "dry",
            str(sum(_condition(one) == kind for one in without_count)),
        ]
        for _, count_given, which, pool, digits in COLUMNS:
            pooled = with_count if count_given else without_count
            some = [one for one in pooled if _condition(one) == kind and which in (None, one.kind)]
            value = pool(some)
            cells.append("" if value is None else f"{value:.{digits}f}")
        rows.append(cells)
    return markdown_table(["setup", "room", "scenes", *(name for name, *_ in COLUMNS)], rows, "llr") + "\n"


def _condition(one: Scored) -> tuple[str, bool]:
    return one.truth["setup"], not one.dry
