"""What placement may cost in quality, as judged by small models of painted pictures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Image

from audiotoken.clip import load_clip
from audiotoken.evaluation.judges import load_painted_features, run_detector
from audiotoken.metrics import cosine, frechet_distance
from experiments.benchmarks.cases import Case, write_caption
from experiments.benchmarks.detection import Detect, detect_painted

QUALITY_COLUMNS = ("CLIP score", "FID", "CLIP-FID")
MIN_PICTURES = 20  # for a distance between distributions


@dataclass(frozen=True)
class Quality:
    """What placement may cost; nan where there is no judge for the pictures."""

    clip: float  # mean cosine of picture and caption (CLIP score, Hessel et al. 2021, without its factor)
    fid: float  # Frechet distance to painted scenes, in the detector's features
    clip_fid: float  # the same in CLIP's features


def judge_quality(images: Sequence[Image], cases: Sequence[Case], detect: Detect = detect_painted) -> Quality:
    """Quality of painted pictures; nan for pictures that need another detector.

    With fewer than `MIN_PICTURES` the distances are nan.
    """
    if detect is not detect_painted:
        return Quality(math.nan, math.nan, math.nan)
    clip = load_clip("mini")
    embeddings, features = clip.embed_images(images), run_detector(images)[0]
    score = float(cosine(embeddings, clip.embed_texts([write_caption(case) for case in cases])).mean())
    if len(images) < MIN_PICTURES:
        return Quality(score, math.nan, math.nan)
    real = load_painted_features(len(cases[0].words))
    return Quality(score, frechet_distance(features, real["features"]), frechet_distance(embeddings, real["clip"]))


def format_quality(quality: Quality) -> list[str]:
    return ["" if math.isnan(value) else f"{value:.2f}" for value in (quality.clip, quality.fid, quality.clip_fid)]
