"""What placing may cost in quality, by small judges who know painted pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from audiotoken.clip import load_clip
from audiotoken.evaluation.judges import load_painted_features, run_detector
from audiotoken.metrics import cosine, frechet_distance
from experiments.benchmarks.cases import Case, sentence_of
from experiments.benchmarks.seeing import Eyes, look

QUALITY = ("CLIP score", "FID", "CLIP-FID")
FEW = 20  # pictures: a distance between fewer says nothing


@dataclass(frozen=True)
class Quality:
    """What placing may cost; not a number where no judge knows the pictures."""

    clip: float  # cosine of picture and sentence, the mean (CLIP score, Hessel et al. 2021, without its factor)
    fid: float  # Frechet distance to painted scenes, by the features of the detector
    clip_fid: float  # and by CLIP's


def judge(images: Sequence[Any], cases: Sequence[Case], eyes: Eyes | None = None) -> Quality:
    """By the small judges, who know painted pictures: not of what other `eyes` look at. Of few there is no distance."""
    if eyes not in (None, look):
        return Quality(math.nan, math.nan, math.nan)
    clip = load_clip("mini")
    seen, features = clip.embed_images(images), run_detector(images)[0]
    score = float(cosine(seen, clip.embed_texts([sentence_of(case) for case in cases])).mean())
    if len(images) < FEW:
        return Quality(score, math.nan, math.nan)
    real = load_painted_features(len(cases[0].words))
    return Quality(score, frechet_distance(features, real["features"]), frechet_distance(seen, real["clip"]))


def quality_of(quality: Quality) -> list[str]:
    return ["" if math.isnan(value) else f"{value:.2f}" for value in (quality.clip, quality.fid, quality.clip_fid)]
