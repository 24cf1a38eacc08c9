"""One self-contained HTML page of a training run: its losses, pictures on the way, and settings.

write_training_page(Run.read(Path("runs/one")), Path("run.html"))
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiotoken.data.image_file import read_image
from audiotoken.errors import DataError
from audiotoken.loss_table import read_losses
from audiotoken.report import facts, media, plots, source_sections
from audiotoken.report.html import Html, build_document, element, join_html, section, table
from audiotoken.report.spread import spread_evenly
from audiotoken.writing import encode_text, write_bytes

MOST_SAMPLES, SIDE = 12, 1024  # sheets of pictures on the page; pixels of their longer side


@dataclass(frozen=True)
class Run:
    """What `audiotoken train` wrote into a folder."""

    name: str
    settings: Mapping[str, Any]
    steps: tuple[int, ...]
    losses: Mapping[str, Sequence[float]]  # by name, one value for each of `steps`
    samples: tuple[tuple[int, Path], ...]  # (step, sheet): above what was drawn, below what came with the sounds
    skipped: int = 0  # examples that could not be read

    @classmethod
    def read(cls, folder: Path) -> "Run":
        """The run of a folder with settings.json and losses.csv; see `audiotoken.loss_table`."""
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        table = read_losses(folder / "losses.csv")
        named = [(path.stem.partition("-")[2], path) for path in folder.glob("samples/step-*.png")]
        sheets = {int(step): path for step, path in named if step.isdecimal()}
        skipped = folder / "skipped.csv"
        count = len(skipped.read_bytes().splitlines()) - 1 if skipped.is_file() else 0
        return cls(folder.resolve().name, settings, table.steps, table.losses, tuple(sorted(sheets.items())), count)


def write_training_page(run: Run, path: Path) -> None:
    """Write `training_page` to a file, whole or not at all; raises OptionError if the file cannot be written."""
    write_bytes(encode_text(training_page(run)), path)


def training_page(run: Run) -> str:
    """HTML with embedded pictures."""
    title = f"Training {run.name}"
    body = join_html(
        [
            _build_header(run, title),
            _build_losses(run),
            _build_samples(run),
            source_sections.build_settings([*_flatten(run.settings), *facts.list_versions()]),
        ]
    )
    return build_document(title, body)


def _build_header(run: Run, title: str) -> Html:
    steps = f"{run.steps[-1]} steps" if run.steps else "no step was done"
    what = [steps, *(f"{key} {run.settings[key]}" for key in ("model", "data", "batch") if key in run.settings)]
    note = f"{run.skipped} examples could not be read; skipped.csv lists them."
    notes = element("ul", element("li", note), class_="notes") if run.skipped else None
    return element("header", element("h1", title), element("p", " · ".join(what), class_="faint"), notes)


def _build_losses(run: Run) -> Html | None:
    """A curve for each loss, and its first, last and lowest value."""
    if not run.steps:
        return None
    rows = [
        [name, *(f"{value:.4g}" for value in (values[0], values[-1], min(values)))]
        for name, values in run.losses.items()
    ]
    numbers = table(["", "first", "last", "lowest"], rows)
    curves = element("figure", plots.plot_losses(run.steps, run.losses), class_="plot") if len(run.steps) > 1 else None
    return section("Losses", curves, numbers, name="losses")


def _build_samples(run: Run) -> Html | None:
    """The sheets of pictures, evenly spread over the run, the last first."""
    if not run.samples:
        return None
    chosen = spread_evenly(run.samples[::-1], MOST_SAMPLES)
    figures = []
    for step, path in chosen:
        try:
            uri = media.encode_thumbnail(read_image(path), SIDE, media.PICTURES // len(chosen))
        except DataError:
            continue
        picture = element("img", src=uri, alt=f"Pictures after {step} steps")
        figures.append(element("figure", picture, element("figcaption", f"after {step} steps")))
    what = element("p", "Above what the embedder makes the model draw, below the pictures that came with the sounds.")
    return section("Pictures", what, element("div", *figures, class_="two"), name="samples")


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as (name.of.key, value)."""
    listed: list[tuple[str, str]] = []
    for key, value in settings.items():
        listed += _flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", str(value))]
    return listed
