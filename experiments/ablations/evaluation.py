"""Judging pictures as a task: the metrics of the paper, one system for each run.

Figures of `experiments.evaluate`: `named`: share of pictures in which the detector sees the label first; `aic`: share
that CLIP calls by their label; `ais`, `iis`: similarity to the sound and to a picture of the same thing, as wins over
other clips; which of them there are depends on the judges.
"""

import json
import os
from pathlib import Path

from audiotoken.evaluation.evaluate import evaluate
from experiments.benchmarks.tables import write_sheet


def judge_pictures(
    *,
    system: str = "audio",
    clips: str = "synthetic",
    n: int | None = 8,
    folds: list[int] | None = None,
    real: str | None = None,
    model: str = "mini",
    clip: str = "mini",
    wav2clip: str = "mini",
    features: str = "mini",
    sampling_steps: int | None = 10,
    seed: int,
    out: str | os.PathLike,
) -> dict[str, float]:
    """Draw `n` clips with one of the systems of `experiments.evaluate`, from noise of `seed`, and judge them."""
    from PIL import Image

    folder = Path(out) / "evaluated"
    evaluate(
        clips, n=n, folds=folds, real=real, systems=[system], seeds=[seed], model=model, clip=clip, wav2clip=wav2clip,
        features=features, steps=sampling_steps, resamples=1, out=folder,
    )  # fmt: skip
    drawn = [Image.open(file).convert("RGB") for file in sorted(folder.glob("pictures/*/*.png"))]
    write_sheet(drawn, Path(out) / "pictures" / "drawn.png")
    scores = json.loads((folder / "metrics.json").read_text())["systems"][system]
    return {name: each["value"] for name, each in scores.items() if "fid" not in name}
