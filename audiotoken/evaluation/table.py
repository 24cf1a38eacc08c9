"""The results of an evaluation: a row for each system, its scores with intervals, and the judges."""

import csv
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from audiotoken.evaluation.clips import Example
from audiotoken.evaluation.judges import Reference
from audiotoken.metrics import HIGHER_IS_BETTER, bootstrap_distance_interval, bootstrap_interval, frechet_distance
from audiotoken.report.evaluation_page import Drawn, write_evaluation_page
from audiotoken.tables import markdown_table
from audiotoken.writing import encode_text, write_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

TITLES = {
    "text": "label as text (upper bound)",
    "audio": "AudioToken, mono",
    "label": "label tokens",
    "unclip": "sound embedding + unCLIP",
    "given": "given pictures",
    "random": "random clip (lower bound)",
}
PERCENT = ("aic", "named", "placed", "ais_win", "iis_win")  # shares
LEVEL = 0.95  # of the intervals


class Estimate(NamedTuple):
    """A score with its confidence interval."""

    value: float
    low: float
    high: float


class EvaluationReport:
    """Collects the scores of one system after the other."""

    def __init__(
        self,
        examples: Sequence[Example],
        seeds: Sequence[int],
        classes: Sequence[str],
        judges: Mapping[str, Any],
        resamples: int,
        titles: Mapping[str, str] | None = None,
    ):
        """`titles` of systems replace those of `TITLES`."""
        self.examples, self.seeds, self.resamples = examples, list(seeds), resamples
        self.facts = {**judges, "seeds": self.seeds, "clips": len(examples), "classes": list(classes)}
        self.facts |= {"resamples": resamples, "level": LEVEL}
        self.titles = {**TITLES, **(titles or {})}
        self.scores: dict[str, dict[str, Estimate]] = {}  # [system][score]
        self.example_scores: dict[str, Sequence[Mapping[str, np.ndarray]]] = {}

    def add(
        self,
        system: str,
        scores: Sequence[Mapping[str, np.ndarray]],
        embedded: Sequence[tuple[np.ndarray, np.ndarray]] | None,
        reference: Reference | None,
    ) -> None:
        """Add the `scores` of each seed; `embedded` are its CLIP embeddings and features, for the distances."""
        self.example_scores[system], estimates = scores, {}
        for name in scores[0]:
            values = np.stack([each[name] for each in scores])
            interval = bootstrap_interval(values, resamples=self.resamples, level=LEVEL)
            estimates[name] = Estimate(float(values.mean()), *interval)
        if embedded is not None and reference is not None:
            estimates["clip_fid"] = self._estimate_distance([clip for clip, _ in embedded], reference.all_clip)
            estimates["fid"] = self._estimate_distance([features for _, features in embedded], reference.all_features)
        self.scores[system] = estimates

    def _estimate_distance(self, pictures: Sequence[np.ndarray], real: np.ndarray) -> Estimate:
        """The Fréchet distance of the pictures of all seeds together."""
        together = np.concatenate(pictures)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Fréchet distance")  # the table states the number of clips
            interval = bootstrap_distance_interval(together, real, resamples=min(self.resamples, 100), level=LEVEL)
            return Estimate(frechet_distance(together, real), *interval)

    @property
    def names(self) -> list[str]:
        """The scores that at least one system has, in the order of the metrics."""
        present = {name for scores in self.scores.values() for name in scores}
        return [name for name in ("named", "placed", *HIGHER_IS_BETTER) if name in present]

    def format_row(self, system: str) -> list[str]:
        """The cells of a system: its title, then its scores."""
        return [self.titles[system], *(_format_estimate(name, self.scores[system].get(name)) for name in self.names)]

    @property
    def head(self) -> list[str]:
        """The head of the table: shares are in percent."""
        return ["system", *(f"{name} %" if name in PERCENT else name for name in self.names)]

    def to_markdown(self) -> str:
        """Intervals are over clips and seeds."""
        return "\n".join([markdown_table(self.head, map(self.format_row, self.scores)), "", self._describe_judges()])

    def write_page(self, path: Path, drawn: "Mapping[str, Sequence[Image]]") -> None:
        """A page with the table and the pictures that each system drew, in the order of the examples."""
        shown = [
            Drawn(
                each.name,
                each.word,
                each.sound,
                {self.titles[system]: images[i] for system, images in drawn.items() if images},
            )
            for i, each in enumerate(self.examples)
        ]
        rows = [self.format_row(system) for system in self.scores]
        write_evaluation_page(path, head=self.head, rows=rows, about=self._describe_judges(), drawn=shown)

    def _describe_judges(self) -> str:
        clip, wav2clip, features, rate = (self.facts[name] for name in ("clip", "wav2clip", "features", "rate"))
        seeds, classes = ", ".join(map(str, self.seeds)), len(self.facts["classes"])
        return (
            f"{len(self.examples)} clips, seeds {seeds}; drawn by {self._describe_models()}; judged by CLIP {clip}, "
            f"Wav2CLIP {wav2clip} at {rate} Hz, features of {features}; AIC among {classes} classes; "
            f"{100 * LEVEL:.0f} % bootstrap intervals: {self.resamples} resamples of clips and seeds (for distances, "
            "of pictures)."
        )

    def _describe_models(self) -> str:
        model, unclip = self.facts["model"], self.facts.get("unclip")
        return model if unclip is None else f"{model} and unCLIP {unclip} conditioned on {self.facts['condition']}"

    def write(self, folder: Path) -> None:
        """Write metrics.json, table.md, table.csv and examples.csv, each whole or not at all."""
        systems = {
            system: {name: each._asdict() for name, each in scores.items()} for system, scores in self.scores.items()
        }
        write_bytes(encode_text(self.to_markdown() + "\n"), folder / "table.md")
        write_bytes(encode_text(self._format_scores()), folder / "table.csv")
        write_bytes(encode_text(self._format_examples()), folder / "examples.csv")
        content = json.dumps({"settings": self.facts, "systems": systems}, indent=1)
        write_bytes(encode_text(content), folder / "metrics.json")

    def _format_scores(self) -> str:
        """CSV with a line for each system and score, with the judges."""
        judged = ["model", "clip", "wav2clip", "features", "rate", "clips"]
        rows: list[list[Any]] = [["system", "score", "value", "low", "high", *judged, "seeds"]]
        for system, scores in self.scores.items():
            for name, values in scores.items():
                seeds = " ".join(map(str, self.seeds))
                rows.append([system, name, *(f"{value:.6g}" for value in values), *map(self.facts.get, judged), seeds])
        return _to_csv(rows)

    def _format_examples(self) -> str:
        """CSV with a line for each picture."""
        names = [name for name in self.names if not name.endswith("fid")]
        rows: list[list[Any]] = [["clip", "label", "word", "system", "seed", *names]]
        for system, by_seed in self.example_scores.items():
            for seed, scores in zip(self.seeds, by_seed, strict=True):
                for i, example in enumerate(self.examples):
                    values = [f"{scores[name][i]:.4f}" if name in scores else "" for name in names]
                    rows.append([example.name, example.label, example.word, system, seed, *values])
        return _to_csv(rows)


def _format_estimate(name: str, estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    if name in PERCENT:
        value, low, high = (100 * each for each in estimate)
        return f"{value:.0f} [{low:.0f}, {high:.0f}]"
    value, low, high = estimate
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _to_csv(rows: Sequence[Sequence[Any]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
