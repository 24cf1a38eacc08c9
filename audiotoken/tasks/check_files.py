"""The files that `audiotoken check` writes, each whole or not at all, and the text that it prints."""

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from audiotoken import evaluation, report
from audiotoken.errors import printable
from audiotoken.report.listening_text import format_azimuth
from audiotoken.tasks.check import Checked, read_frames
from audiotoken.tasks.picture_files import check_report
from audiotoken.writing import check_inputs_kept, check_output, encode_text, write_bytes, write_image
from spatial.camera import Camera

if TYPE_CHECKING:
    from audiotoken.evaluation.consistency import Check

DIGITS = 4


@dataclass(frozen=True)
class CheckFiles:
    """Where the results go; None writes no file."""

    json: Path | None = None
    figure: Path | None = None
    report: Path | None = None

    def check(self, *inputs: str | os.PathLike | None) -> None:
        """Check before the long work that each file can be written and is none of the inputs; OptionError otherwise."""
        if self.json is not None:
            check_output(self.json, (".json",))
        if self.figure is not None:
            check_output(self.figure)
        if self.report is not None:
            check_report(self.report)
        check_inputs_kept([self.json, self.figure, self.report], inputs)

    def write(self, checked: Checked, notes: bool = True) -> str:
        """Write the files -> the text to print."""
        lines = [format_check(checked), *(f"note   {each}" for each in (*checked.notes, *checked.broken) if notes)]
        if self.json is not None:
            write_bytes(encode_text(f"{to_json(checked)}\n"), self.json)
        if self.figure is not None:
            ((_, picture),) = read_frames(checked.pairs[0].picture, 1)
            draw = evaluation.consistency_figure.draw_checks
            write_image(draw(checked.checks, checked.summary, picture, checked.fov), self.figure)
        if self.report is not None:
            _write_gallery(checked, self.report)
        lines += [f"wrote  {printable(path)}" for path in (self.json, self.figure, self.report) if path is not None]
        return "\n".join(lines)


def _write_gallery(checked: Checked, path: Path) -> None:
    """A card for each pair: what is heard, and where it is seen in the picture, or in the middle of the film."""
    camera, entry, sound = Camera(checked.fov), report.gallery_page.Entry, report.gallery_page.HeardSound
    entries = [
        entry(
            pair.name,
            (pair.picture,),
            pair.clip,
            tuple(
                sound(
                    thing.word,
                    thing.heard,
                    "not seen" if thing.seen is None else f"seen {format_azimuth(thing.seen)}",
                    camera.project(thing.heard),
                    None if thing.seen is None else camera.project(thing.seen),
                )
                for thing in check.things
            ),
            check.score if check.compares else None,
            f"score {check.score:.2f}" if check.compares else "nothing to compare",
        )
        for pair, check in zip(checked.pairs, checked.checks, strict=True)
    ]
    report.gallery_page.write_gallery_page(
        entries,
        path,
        title="Seen where it is heard?",
        lines=[*_list_scores(checked), "A line is where a sound is heard, the dot of its colour where it is seen."],
        notes=[*checked.notes, *checked.broken],
        read_picture=lambda picture: read_frames(picture, 1)[0][1],
    )


def format_check(checked: Checked) -> str:
    """A table of the things of one pair, or of the pairs of several, and the score."""
    rows = _list_things(checked.checks[0]) if len(checked.pairs) == 1 else _list_pairs(checked)
    table = tabulate(rows[1:], rows[0], tablefmt="plain", disable_numparse=True) if rows[1:] else ""
    return "\n".join([*(line.rstrip() for line in table.splitlines()), *_list_scores(checked)])


def _list_things(check: "Check") -> list[list[str]]:
    rows = [["", "heard", "seen", "off", "side"]]
    for thing in check.things:
        side = "no side" if thing.side is None else "not seen" if not thing.found else _format_agreement(thing.side)
        off = "" if thing.degrees_off is None else f"{thing.degrees_off:.0f}°"
        rows.append(
            [
                thing.word,
                format_azimuth(thing.heard),
                "" if thing.seen is None else format_azimuth(thing.seen),
                off,
                side,
            ]
        )
    return rows


def _list_pairs(checked: Checked) -> list[list[str]]:
    rows = [["", "score", "things", "seen", "off"]]
    for pair, check in zip(checked.pairs, checked.checks, strict=True):
        off = [thing.degrees_off for thing in check.things if thing.degrees_off is not None]
        seen = sum(thing.found > 0 for thing in check.things)
        score = f"{check.score:.2f}" if check.compares else "nothing to compare"
        distance = f"{sum(off) / len(off):.0f}°" if off else ""
        rows.append([printable(pair.name), score, str(len(check.things)), str(seen), distance])
    return rows


def _format_agreement(side: float) -> str:
    return {1.0: "right side", 0.0: "wrong side"}.get(side, f"{100 * side:.0f} % right side")


def _list_scores(checked: Checked) -> list[str]:
    summary = checked.summary
    if not summary.pictures:
        return ["score  nothing to compare: no sound with a name and a direction to the side"]
    several = summary.pictures > 1
    lines = [f"score  {_format_interval(summary.score, several)} (chance 0.50, right 1.00)"]
    if several:
        lines += [f"side   {_format_interval(summary.side, True)}   order  {_format_interval(summary.order, True)}"]
        lines += [f"off    {_format_interval(summary.degrees_off, True, '°')}   over {summary.pictures} pairs"]
    if checked.shuffled is not None and checked.shuffled.pictures:
        lines += [f"shuffled recordings  {_format_interval(checked.shuffled.score, True)}"]
    overlap = f"MaxIoU {100 * summary.max_iou.mean:.0f} %, LTSim {100 * summary.ltsim.mean:.0f} %"
    return [*lines, f"boxes  {overlap} of the boxes heard and seen"]


def _format_interval(interval: Any, several: bool, unit: str = "") -> str:
    if math.isnan(interval.mean):
        return "none"
    text = f"{interval.mean:.2f}{unit}" if not unit else f"{interval.mean:.0f}{unit}"
    ends = [f"{end:.2f}" if not unit else f"{end:.0f}" for end in (interval.low, interval.high)]
    return f"{text} [{ends[0]}, {ends[1]}]" if several else text


def to_json(checked: Checked) -> str:
    """The same for programs; a number that does not exist is null."""
    pairs = [
        {"name": pair.name, "picture": str(pair.picture), "clip": str(pair.clip), "compares": check.compares}
        | asdict(check)
        for pair, check in zip(checked.pairs, checked.checks, strict=True)
    ]
    shuffled = None if checked.shuffled is None else asdict(checked.shuffled)
    values = {"summary": asdict(checked.summary), "shuffled": shuffled, "pairs": pairs}
    return json.dumps(_round(values | {"notes": list(checked.notes), "skipped": list(checked.broken)}), indent=1)


def _round(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _round(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_round(each) for each in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, DIGITS)
    return value
