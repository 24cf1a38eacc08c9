"""The table of an evaluation: a row for each system, each score with its interval, and who judged."""

import csv
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiotoken.evaluation.clips import Example
from audiotoken.metrics import HIGHER_IS_BETTER, bootstrap, bootstrap_distance, frechet_distance
from audiotoken.tables import markdown_table
from audiotoken.writing import write_bytes

SAYS = {
    "text": "label as text (upper bound)",
    "audio": "AudioToken, mono",
    "label": "label tokens",
    "unclip": "sound embedding + unCLIP",
    "given": "given pictures",
    "random": "random clip (lower bound)",
}
PERCENT = ("aic", "named", "ais_win", "iis_win")  # shares
LEVEL = 0.95


class Report:
    """Collects the scores of the systems one by one."""

    def __init__(
        self,
        examples: Sequence[Example],
        seeds: Sequence[int],
        classes: Sequence[str],
        judges: Mapping[str, Any],
        resamples: int,
        names: Mapping[str, str] | None = None,
    ):
        """`names` of systems, instead of those of `SAYS`."""
        self.examples, self.seeds, self.resamples = examples, list(seeds), resamples
        self.facts = {**judges, "seeds": self.seeds, "clips": len(examples), "classes": list(classes)}
        self.facts |= {"resamples": resamples, "level": LEVEL}
        self.says = {**SAYS, **(names or {})}
        self.scores: dict[str, dict[str, tuple[float, float, float]]] = {}  # [system][score]: value, low, high
        self.single: dict[str, Sequence[Mapping[str, np.ndarray]]] = {}

    def add(
        self,
        system: str,
        scores: Sequence[Mapping[str, np.ndarray]],
        seen: Sequence[tuple[np.ndarray, np.ndarray]] | None,
        reference: Any,
    ) -> None:
        """`scores` of each seed; `seen` are its pictures as CLIP and the feature model see them, for the distances."""
        self.single[system], kept = scores, {}
        for name in scores[0]:
            values = np.stack([each[name] for each in scores])
            kept[name] = (float(values.mean()), *bootstrap(values, resamples=self.resamples, level=LEVEL))
        if seen is not None and reference is not None:
            kept["clip_fid"] = self._distance([clip for clip, _ in seen], reference.all_clip)
            kept["fid"] = self._distance([features for _, features in seen], reference.all_features)
        self.scores[system] = kept

    def _distance(self, pictures: Sequence[np.ndarray], real: np.ndarray) -> tuple[float, float, float]:
        """Of the pictures of all seeds together."""
        together = np.concatenate(pictures)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Fréchet distance")  # the table says how many there are
            interval = bootstrap_distance(together, real, resamples=min(self.resamples, 100), level=LEVEL)
            return (frechet_distance(together, real), *interval)

    @property
    def names(self) -> list[str]:
        """Of all scores that some system has, in the order of the metrics."""
        there = {name for scores in self.scores.values() for name in scores}
        return [name for name in ("named", *HIGHER_IS_BETTER) if name in there]

    def row(self, system: str) -> list[str]:
        """The cells of a system: what it is called, then its scores."""
        return [self.says[system], *(_cell(name, self.scores[system].get(name)) for name in self.names)]

    def table(self) -> str:
        """Markdown; shares in percent; intervals are 95 %, over clips and seeds."""
        head = ["system", *(f"{name} %" if name in PERCENT else name for name in self.names)]
        return "\n".join([markdown_table(head, map(self.row, self.scores)), "", self._said()])

    def _said(self) -> str:
        clip, wav2clip, features, rate = (self.facts[name] for name in ("clip", "wav2clip", "features", "rate"))
        seeds, classes = ", ".join(map(str, self.seeds)), len(self.facts["classes"])
        return (
            f"{len(self.examples)} clips, seeds {seeds}; drawn by {self._drawn()}; judged by CLIP {clip}, "
            f"Wav2CLIP {wav2clip} at {rate} Hz, features of {features}; AIC among {classes} classes; "
            f"{100 * LEVEL:.0f} % intervals of {self.resamples} resamples of clips and seeds (of distances, pictures)."
        )

    def _drawn(self) -> str:
        model, unclip = self.facts["model"], self.facts.get("unclip")
        return model if unclip is None else f"{model} and unCLIP {unclip} told by {self.facts['told']}"

    def write(self, folder: Path) -> None:
        """metrics.json, table.md, table.csv and examples.csv, each whole or not at all."""
        systems = {
            system: {name: dict(zip(("value", "low", "high"), each, strict=True)) for name, each in scores.items()}
            for system, scores in self.scores.items()
        }
        write_bytes((self.table() + "\n").encode(), folder / "table.md")
        write_bytes(self._csv().encode(), folder / "table.csv")
        write_bytes(self._examples().encode(), folder / "examples.csv")
        content = json.dumps({"settings": self.facts, "systems": systems}, indent=1)
        write_bytes(content.encode(), folder / "metrics.json")

    def _csv(self) -> str:
        """A line for each system and score, with who judged."""
        judged = ["model", "clip", "wav2clip", "features", "rate", "clips"]
        rows: list[list[Any]] = [["system", "score", "value", "low", "high", *judged, "seeds"]]
        for system, scores in self.scores.items():
            for name, values in scores.items():
                seeds = " ".join(map(str, self.seeds))
                rows.append([system, name, *(f"{value:.6g}" for value in values), *map(self.facts.get, judged), seeds])
        return _lines(rows)

    def _examples(self) -> str:
        """A line for each picture."""
        names = [name for name in self.names if not name.endswith("fid")]
        rows: list[list[Any]] = [["clip", "label", "word", "system", "seed", *names]]
        for system, by_seed in self.single.items():
            for seed, scores in zip(self.seeds, by_seed, strict=True):
                for i, example in enumerate(self.examples):
                    values = [f"{scores[name][i]:.4f}" if name in scores else "" for name in names]
                    rows.append([example.name, example.label, example.word, system, seed, *values])
        return _lines(rows)


def _cell(name: str, values: tuple[float, float, float] | None) -> str:
    if values is None:
        return ""
    if name in PERCENT:
        value, low, high = (100 * each for each in values)
        return f"{value:.0f} [{low:.0f}, {high:.0f}]"
    value, low, high = values
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
