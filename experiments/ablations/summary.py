"""Any set of runs -> tables, plots and a gallery, written into their folder: `python -m experiments.report DIR`."""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

from audiotoken.tasks.sentences import errors_as_sentences
from experiments.ablations.pages import write_gallery
from experiments.ablations.plots import write_plot
from experiments.ablations.results import collect
from experiments.ablations.tables import format_markdown, write_tables


@dataclass(frozen=True)
class Report:
    """A summary in words, and a sentence for each run that failed."""

    text: str
    failed: list[str] = field(default_factory=list)


def gather(folder: Path) -> Report:
    """Write tables, plots and the gallery of all runs under `folder` into it."""
    experiments = collect(folder)
    for one in experiments:
        write_tables(one, folder)
        write_plot(one, folder / f"{one.name}.png")
    write_gallery(experiments, folder / "gallery.html")
    failed = [f"{run.folder}: {run.record['error']}" for one in experiments for run in one.failed]
    listed = [f"failed  {sentence}" for sentence in failed]
    tables = [f"{one.name}: {one.title}\n\n{format_markdown(one)}" for one in experiments]
    return Report("\n\n".join([*tables, *listed, f"gallery {folder / 'gallery.html'}"]), failed)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.report", description="Write tables, plots and a gallery of any set of runs."
    )
    parser.add_argument("folder", type=Path, help="the folder of one sweep, or of several")
    with errors_as_sentences():
        print(gather(parser.parse_args().folder).text)
