"""The gallery of a set of runs: one HTML file that opens from the disk, with tables, plots and every run's pictures."""

from html import escape
from pathlib import Path

from audiotoken.writing import write_bytes
from experiments.ablations.results import Experiment, Run, format_value
from experiments.ablations.tables import format_cell, list_columns

STYLE = """body { font: 15px/1.5 system-ui, sans-serif; color: #22252b; max-width: 72rem; margin: 2rem auto }
table { border-collapse: collapse; font-size: 13px; white-space: nowrap } .wide { overflow-x: auto }
td, th { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: left } img { max-width: 100% }
figure { display: inline-block; margin: .5rem; max-width: 34rem; vertical-align: top }
figcaption { font-size: 12px; color: #6b7280 } .failed { color: #b91c1c }"""


def write_gallery(experiments: list[Experiment], path: Path) -> None:
    nav = " · ".join(f'<a href="#{escape(one.name)}">{escape(one.name)}</a>' for one in experiments)
    body = "\n".join(_section(one, path.parent) for one in experiments)
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Runs</title><style>{STYLE}</style>'
    write_bytes(f"{page}\n<body><h1>Runs</h1><p>{nav}</p>\n{body}\n</body></html>\n".encode(), path)


def _section(one: Experiment, folder: Path) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in [*list_columns(one), "seeds", *one.figures])
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(format_value(value))}</td>" for value in row.variant.values() or ["as it is"])
        + f"<td>{len(row.runs)}</td>"
        + "".join(f"<td>{escape(format_cell(row, name))}</td>" for name in one.figures)
        + "</tr>\n"
        for row in one.rows
    )
    plot = f'<p><img src="{escape(one.name)}.png" alt="plot"></p>' if one.rows else ""
    failed = "".join(
        f'<p class="failed">{escape(run.folder.name)} failed: {escape(run.record["error"])}</p>' for run in one.failed
    )
    pictures = "".join(_pictures(run, folder) for run in one.runs)
    return (
        f'<h2 id="{escape(one.name)}">{escape(one.name)}</h2><p>{escape(one.title)}</p>{plot}{failed}'
        f'<div class="wide"><table><tr>{head}</tr>\n{rows}</table></div>'
        f"<details><summary>Pictures of every run</summary>{pictures}</details>"
    )


def _pictures(run: Run, folder: Path) -> str:
    """Where the run's folder is, its pictures are."""
    out = ""
    for picture in sorted((run.folder / "pictures").glob("*.png")):
        where = picture.relative_to(folder).as_posix()
        said = f"{run.folder.name}, {picture.stem}"
        out += f'<figure><img loading="lazy" src="{escape(where)}" alt="">'
        out += f"<figcaption>{escape(said)}</figcaption></figure>"
    return out
