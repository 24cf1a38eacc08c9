"""`listen` on real rooms: the stereo set of DCASE 2025 task 3, or Ambisonic recordings such as STARSS23.

    python -m experiments.bench real data=FOLDER out=runs/bench-real
    python -m experiments.bench real data=FOLDER systems=[listen] limit=200 model=mini

docs/real-rooms.md says where the recordings are. `listen` is told nothing, `listen-setup` how the stereo was made. Each
source that is certain to be of one of the 13 classes is an event in each frame in which it sounds. Output in `out`:
the rows of each clip in the task's format, one folder a system, and table.md.
"""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import numpy as np

from audiotoken.errors import OptionError
from audiotoken.stereo.naming import SceneLabeller, list_encoder_labels, make_scene_labeller
from audiotoken.tables import markdown_table
from audiotoken.writing import cannot_write, write_bytes
from experiments.benchmarks.real_data import (
    CLASSES,
    HOP,
    SETUP,
    Clip,
    Row,
    count_clips,
    find_class,
    find_files,
    list_labels,
    read_checked_rows,
    read_clips,
    write_rows,
)
from experiments.benchmarks.real_score import ClipScore, Counts, count_frames, ignore_classes, score_clip
from spatial.listening import listen
from spatial.scene import Scene

SYSTEMS = ("listen", "listen-setup")
GUESSED_DISTANCE = 1.0  # metres, of every source: two channels do not tell it
RELATIVE_LIMIT = 1.0  # of the error of the distance, by the task's rules


@dataclass
class Scores:
    """Of one system."""

    named: Counts = field(default_factory=Counts)
    with_distance: Counts = field(default_factory=Counts)
    places: Counts = field(default_factory=Counts)  # classes ignored
    clips: list[ClipScore] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, truth: Sequence[Row], named: Sequence[Row], found: Sequence[Row], seconds: float) -> None:
        self.named += count_frames(truth, named)
        self.with_distance += count_frames(truth, named, limit=RELATIVE_LIMIT)
        self.places += count_frames(ignore_classes(truth), found)
        self.clips.append(score_clip(truth, found))
        self.seconds.append(seconds)


def bench_real(
    *,
    data: str,
    split: str = "dev-test",
    systems: Sequence[str] = SYSTEMS,
    model: str = "mini",
    limit: int | None = None,
    seed: int = 0,
    out: str = "runs/bench-real",
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Score `systems`, some of `SYSTEMS`, on the clips of `data` and write the results to `out`; returns the table.

    `split`: how the folders of its splits begin; `model`: whose encoder names the sources; `limit`: maximum number of
    clips, evenly from all files; `seed`: of the views of Ambisonic recordings. Raises OptionError for invalid options
    and CheckpointError for a model that cannot be read.
    """
    if not systems or set(systems) - set(SYSTEMS):
        raise OptionError(f"Got systems={','.join(systems)}, expected some of {', '.join(SYSTEMS)}; change it.")
    if limit is not None and limit < 1:
        raise OptionError(f"Got limit={limit}, expected 1 or more clips; change it.")
    ambisonic, files = find_files(Path(data), split)
    chosen, folder = _thin_out(files, limit), Path(out)
    for pair in chosen:  # before hours of listening
        read_checked_rows(*pair, ambisonic)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    label_scene = make_class_labeller(model)
    scores = {system: Scores() for system in systems}
    most = None if limit is None else -(-limit // len(files))  # of each file
    clips: Iterable[Clip] = read_clips(chosen, ambisonic, seed, most)
    total = min(count_clips(chosen, ambisonic, most), limit or sys.maxsize)
    for number, clip in enumerate(islice(clips, limit), 1):
        for system in systems:
            start = time.perf_counter()
            scene = listen(clip.recording, clip.rate, setup=SETUP if system == "listen-setup" else "auto")
            found, named = to_rows(scene, clip.frames), to_rows(scene, clip.frames, label_scene(scene))
            scores[system].add(clip.rows, named, found, time.perf_counter() - start)
            write_rows(named, folder / system / f"{clip.name}.csv")
        if on_row:
            on_row(f"{number}/{total}  {clip.name}")
    text = format_scores(scores)
    write_bytes(text.encode(), folder / "table.md")
    return f"{text}\nWrote table.md and the rows of each clip to {folder}."


def _thin_out(files: Sequence[tuple[Path, Path]], limit: int | None) -> Sequence[tuple[Path, Path]]:
    """At most that many files, evenly from all: neighbours are of one room."""
    if limit is None or limit >= len(files):
        return files
    return [files[i * len(files) // limit] for i in range(limit)]


def make_class_labeller(model: str) -> Callable[[Scene], list[int | None]]:
    """A function from a scene to the class of each source; None for one that is not certain to be of any.

    An encoder that can name all classes chooses among them; another one, such as mini's, which knows a bell and a drum,
    chooses among all its labels.
    """
    labels = list_encoder_labels(model)
    nameable = list_labels(labels)
    complete = len({find_class(label) for label in nameable}) == len(CLASSES)
    label_scene: SceneLabeller = make_scene_labeller(model, nameable if complete else None)
    return lambda scene: [find_class(one.name) if one and one.sure else None for one in label_scene(scene)]


def to_rows(scene: Scene, frames: int, kinds: Sequence[int | None] | None = None) -> list[Row]:
    """An event for each source and frame in whose middle it sounds; sources without a class are left out.

    Without `kinds` all sources are of class 0.
    """
    given = [0] * len(scene.sources) if kinds is None else kinds
    moments = ((frame, scene.at((frame + 0.5) * HOP)) for frame in range(frames))
    return [
        Row(frame, kind, source, azimuth, GUESSED_DISTANCE)
        for frame, heard in moments
        for source, azimuth in heard.items()
        if (kind := given[source]) is not None
    ]


def format_scores(scores: dict[str, Scores]) -> str:
    """A Markdown table, a column for each system."""
    lines: list[tuple[str, Callable[[Scores], float], int]] = [
        ("F20, %", lambda one: 100 * one.named.f20, 1),
        ("F20 with a distance of 1 m guessed, %", lambda one: 100 * one.with_distance.f20, 1),
        ("direction error, °", lambda one: one.named.direction_error, 1),
        ("localisation recall, %", lambda one: 100 * one.named.recall, 1),
        ("F20, classes ignored, %", lambda one: 100 * one.places.f20, 1),
        ("direction error, classes ignored, °", lambda one: one.places.direction_error, 1),
        ("localisation recall, classes ignored, %", lambda one: 100 * one.places.recall, 1),
        ("side correct, %", lambda one: 100 * _mean(chain(*(clip.side for clip in one.clips))), 0),
        ("order correct, %", lambda one: 100 * _mean(chain(*(clip.order for clip in one.clips))), 0),
        ("number correct, %", lambda one: 100 * _mean(clip.counted for clip in one.clips), 0),
        ("events found, %", lambda one: 100 * _find_share(one.clips), 0),
        ("onset off by, median s", lambda one: _median(chain(*(clip.onset for clip in one.clips))), 2),
        ("offset off by, median s", lambda one: _median(chain(*(clip.offset for clip in one.clips))), 2),
        ("seconds for a clip", lambda one: _mean(one.seconds), 2),
    ]
    rows = [[name, *(_format(value(one), digits) for one in scores.values())] for name, value, digits in lines]
    clips = len(next(iter(scores.values())).clips)
    return markdown_table([f"{clips} clips", *scores], rows, "lr")


def _find_share(clips: Sequence[ClipScore]) -> float:
    """Of the true events, those of which an onset and an offset are known."""
    return sum(len(clip.onset) for clip in clips) / max(sum(clip.events for clip in clips), 1)


def _format(value: float, digits: int) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def _mean(values: Iterable[float]) -> float:
    every = list(values)
    return float(np.mean(every)) if every else float("nan")


def _median(values: Iterable[float]) -> float:
    every = list(values)
    return float(np.median(every)) if every else float("nan")
