"""Metrics of localisation and separation.

Conventions: a *place* is an azimuth in degrees, positive right, or the path of a moving source, (seconds, azimuth).
True and estimated places are paired one-to-one so that the sum of the errors is the smallest; every function pairs
anew. Shares are 0 to 1. A source that was not found counts as wrong; with nothing to score the result is 0, with a
warning.
Signals and images are (frames,) and (2, frames) of one length; SI-SDR is in dB and clipped to `RANGE`.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from spatial.errors import SpatialError
from spatial.scene import Scene, Source

Place = float | Sequence[tuple[float, float]]
Signal = Float[np.ndarray, " frames"]

CENTRE = 10.0  # degrees either side of ahead that are neither left nor right
WITHIN = 10.0  # degrees of error within which a source counts as found
RANGE = (-30.0, 40.0)  # dB: beyond it differences are inaudible


def angular_error(truth: Place, estimate: Place) -> float:
    """Mean absolute difference in degrees, at the times of the true path, or of the estimated one of a fixed source."""
    times = _to_points(estimate if _is_fixed(truth) else truth)[:, 0]
    return float(np.mean(np.abs(_azimuths_at(truth, times) - _azimuths_at(estimate, times))))


def pair(truth: Sequence[Place], estimate: Sequence[Place]) -> list[tuple[int, int, float]]:
    """(index of the truth, of the estimate, error) of each pair, Hungarian method, Kuhn (1955)."""
    errors = np.array([[angular_error(t, e) for e in estimate] for t in truth]).reshape(len(truth), len(estimate))
    if not np.isfinite(errors).all():
        raise SpatialError("Got a place that is not a number, expected degrees; check the azimuths.")
    return [(int(t), int(e), float(errors[t, e])) for t, e in zip(*linear_sum_assignment(errors), strict=True)]


def mean_error(truth: Sequence[Place], estimate: Sequence[Place]) -> float:
    """Mean error of the pairs in degrees; sources that were not found do not count; nan without a pair."""
    errors = [error for _, _, error in pair(truth, estimate)]
    return float(np.mean(errors)) if errors else float("nan")


def side(azimuth: float) -> int:
    """-1 left, 0 centre, 1 right."""
    return 0 if abs(azimuth) <= CENTRE else int(np.sign(azimuth))


def side_accuracy(truth: Sequence[Place], estimate: Sequence[Place]) -> float:
    """Share of the true fixed sources whose pair is on the correct side."""
    fixed = [index for index, place in enumerate(truth) if _is_fixed(place)]
    pairs = [(t, e) for t, e, _ in pair(truth, estimate) if t in fixed]
    correct = [t for t, e in pairs if side(_mean_azimuth(truth[t])) == side(_mean_azimuth(estimate[e]))]
    return _share(len(correct), len(fixed), "true fixed sources")


def precision_recall_f(truth: Sequence[Place], estimate: Sequence[Place]) -> tuple[float, float, float]:
    """Shares of the estimated and of the true sources whose pair is within 10 degrees, and their harmonic mean."""
    hits = sum(error <= WITHIN for _, _, error in pair(truth, estimate))
    f = _share(2 * hits, len(truth) + len(estimate), "sources, true or estimated")
    return hits / max(len(estimate), 1), hits / max(len(truth), 1), f


def count_error(truth: Sequence[Place], estimate: Sequence[Place]) -> int:
    """Sources too many (positive) or too few."""
    return len(estimate) - len(truth)


def direction_accuracy(truth: Sequence[Place], estimate: Sequence[Place]) -> float:
    """Share of the true moving sources whose pair moves the same way, by the slope of a line through its path."""
    slopes = [(_slope(truth[t]), _slope(estimate[e])) for t, e, _ in pair(truth, estimate) if not _is_fixed(truth[t])]
    moving = sum(not _is_fixed(place) for place in truth)
    return _share(sum(a * b > 0 for a, b in slopes), moving, "true moving sources")


def si_sdr(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Scale-invariant signal-to-distortion ratio, Le Roux et al. (2019), eq. 3, dB."""
    estimated, true = _validate_signals(estimate, reference)
    energy = float(true @ true)
    if energy < 1e-9 or float(estimated @ estimated) < 1e-12:
        return RANGE[0]
    target = (estimated @ true) / energy * true
    noise = estimated - target
    return float(np.clip(10 * np.log10((target @ target + 1e-12) / (noise @ noise + 1e-12)), *RANGE))


def si_sdr_improvement(
    estimates: Sequence[ArrayLike] | Float[np.ndarray, "estimates *channels frames"],
    images: ArrayLike,
    mixture: ArrayLike,
) -> list[tuple[float, float]]:
    """(SI-SDR, improvement over the mixture) of each true image (sources, 2, frames), in its louder channel.

    Estimates are (frames,) or (2, frames) and are paired so that the sum is the largest; a mono one is compared with
    either channel. A source without an estimate keeps the value of the mixture.
    """
    truth, mixed = np.asarray(images, float), np.asarray(mixture, float)
    if truth.ndim != 3 or truth.shape[1:] != mixed.shape:
        raise SpatialError(
            f"Got images {truth.shape} for a mixture {mixed.shape}, expected (sources, 2, frames) and (2, frames); cut "
            "or pad one."
        )
    louder = [int(np.argmax((image**2).sum(axis=1))) for image in truth]
    best = np.array([si_sdr(mixed[channel], image[channel]) for channel, image in zip(louder, truth, strict=True)])
    before = best.copy()
    audible = [each for each in (np.asarray(e, float) for e in estimates) if np.abs(each).max(initial=0) > 1e-6]
    scores = [[_score_stem(each, image, at) for each in audible] for at, image in zip(louder, truth, strict=True)]
    values = np.reshape(scores, (len(truth), len(audible)))
    rows, columns = linear_sum_assignment(values, maximize=True)
    best[rows] = values[rows, columns]
    return [(float(after), float(after - first)) for after, first in zip(best, before, strict=True)]


def evaluate(truth: Scene, estimate: Scene, mixture: ArrayLike | None = None) -> dict[str, float]:
    """All scores of one scene, except those for which the truth has no case, and SI-SDR without a mixture."""
    true, estimated = ([_place_of(source) for source in scene.sources] for scene in (truth, estimate))
    precision, recall, f = precision_recall_f(true, estimated)
    scores = {"error": mean_error(true, estimated), "precision": precision, "recall": recall, "f": f}
    scores |= {"count_error": count_error(true, estimated), "setup": float(truth.setup == estimate.setup)}
    if any(_is_fixed(place) for place in true):
        scores["side"] = side_accuracy(true, estimated)
    if any(not _is_fixed(place) for place in true):
        tracks = [error for t, _, error in pair(true, estimated) if not _is_fixed(true[t])]
        scores["track_error"] = float(np.mean(tracks)) if tracks else float("nan")
        scores["direction"] = direction_accuracy(true, estimated)
    images = [source.image for source in truth.sources if source.image is not None]
    if mixture is not None and len(images) == len(truth.sources) > 0:
        stems = [source.signal if source.image is None else source.image for source in estimate.sources]
        both = np.mean(si_sdr_improvement(stems, np.stack(images), mixture), axis=0)
        scores |= {"si_sdr": float(both[0]), "si_sdr_improvement": float(both[1])}
    return scores


def _place_of(source: Source) -> Place:
    return source.path if source.path else source.direction.azimuth


def _is_fixed(place: Place) -> bool:
    return bool(np.isscalar(place))


def _to_points(place: Place) -> Float[np.ndarray, "points 2"]:
    """Seconds and azimuths; a fixed source has one point."""
    return np.array([(0.0, place)] if _is_fixed(place) else place, float).reshape(-1, 2)


def _azimuths_at(place: Place, times: Float[np.ndarray, " times"]) -> Float[np.ndarray, " times"]:
    return np.interp(times, *_to_points(place).T)


def _mean_azimuth(place: Place) -> float:
    return float(_to_points(place)[:, 1].mean())


def _slope(place: Place) -> float:
    points = _to_points(place)
    return float(np.polyfit(points[:, 0], points[:, 1], 1)[0]) if len(points) > 1 else 0.0


def _share(part: int, whole: int, what: str) -> float:
    if not whole:
        warnings.warn(f"There are no {what}: the score is 0.", stacklevel=3)
    return part / max(whole, 1)


def _score_stem(
    estimate: Float[np.ndarray, "*channels frames"], image: Float[np.ndarray, "2 frames"], channel: int
) -> float:
    """SI-SDR in that channel; a mono estimate is compared with both and the better one counts."""
    if estimate.ndim == 2:
        return si_sdr(estimate[channel], image[channel])
    return max(si_sdr(estimate, each) for each in image)


def _validate_signals(estimate: ArrayLike, reference: ArrayLike) -> tuple[Signal, Signal]:
    estimated, true = np.asarray(estimate, float), np.asarray(reference, float)
    if estimated.ndim != 1 or estimated.shape != true.shape:
        raise SpatialError(
            f"Got signals {estimated.shape} and {true.shape}, expected two of (frames,); cut or pad one."
        )
    return estimated, true
