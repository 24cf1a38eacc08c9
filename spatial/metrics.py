"""How right a listener was.

Conventions: a *place* is an azimuth in degrees, positive right, or a path of (seconds, azimuth) of what moves; true and
found places are paired one-to-one so that the errors sum to least; every function pairs anew. Shares are 0 to 1.
A source that was not found counts as wrong; with nothing to score the answer is 0 and a warning. Signals and images are
(frames,) and (2, frames) of one length; SI-SDR is in dB and cut to `RANGE`.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from spatial.errors import SpatialError
from spatial.scene import Scene, Source

Place = float | Sequence[tuple[float, float]]

CENTRE = 10.0  # degrees either side of ahead that are neither left nor right
WITHIN = 10.0  # degrees: what counts as found
RANGE = (-30.0, 40.0)  # dB: beyond it differences are not heard


def angular_error(truth: Place, estimate: Place) -> float:
    """Mean absolute difference in degrees, at the times of the true path, or of the found one where the truth stays."""
    times = _points(estimate if _stays(truth) else truth)[:, 0]
    return float(np.mean(np.abs(_at(truth, times) - _at(estimate, times))))


def pair(truth: Sequence[Place], estimate: Sequence[Place]) -> list[tuple[int, int, float]]:
    """(index of the truth, of the estimate, error) of each pair, Hungarian method, Kuhn (1955)."""
    errors = np.array([[angular_error(t, e) for e in estimate] for t in truth]).reshape(len(truth), len(estimate))
    if not np.isfinite(errors).all():
        raise SpatialError("Got a place that is not a number, want degrees; check the azimuths.")
    return [(int(t), int(e), float(errors[t, e])) for t, e in zip(*linear_sum_assignment(errors), strict=True)]


def mean_error(truth: Sequence[Place], estimate: Sequence[Place]) -> float:
    """Degrees over the pairs; what was not found is not in it; nan without a pair."""
    errors = [error for _, _, error in pair(truth, estimate)]
    return float(np.mean(errors)) if errors else float("nan")


def side(azimuth: float) -> int:
    """-1 left, 0 centre, 1 right."""
    return 0 if abs(azimuth) <= CENTRE else int(np.sign(azimuth))


def side_accuracy(truth: Sequence[Place], estimate: Sequence[Place]) -> float:
    """Share of the true sources that stay whose pair is on the right side."""
    staying = [index for index, place in enumerate(truth) if _stays(place)]
    pairs = [(t, e) for t, e, _ in pair(truth, estimate) if t in staying]
    right = [t for t, e in pairs if side(_mean(truth[t])) == side(_mean(estimate[e]))]
    return _share(len(right), len(staying), "true sources that stay")


def precision_recall_f(truth: Sequence[Place], estimate: Sequence[Place]) -> tuple[float, float, float]:
    """Shares of the found sources and of the true ones whose pair is within 10 degrees, and their harmonic mean."""
    hits = sum(error <= WITHIN for _, _, error in pair(truth, estimate))
    f = _share(2 * hits, len(truth) + len(estimate), "sources, true or found")
    return hits / max(len(estimate), 1), hits / max(len(truth), 1), f


def count_error(truth: Sequence[Place], estimate: Sequence[Place]) -> int:
    """Sources too many (positive) or too few."""
    return len(estimate) - len(truth)


def direction_accuracy(truth: Sequence[Place], estimate: Sequence[Place]) -> float:
    """Share of the true moving sources whose pair moves the same way, by the slope of a line through its path."""
    ways = [(_slope(truth[t]), _slope(estimate[e])) for t, e, _ in pair(truth, estimate) if not _stays(truth[t])]
    moving = sum(not _stays(place) for place in truth)
    return _share(sum(a * b > 0 for a, b in ways), moving, "true sources that move")


def si_sdr(estimate: ArrayLike, reference: ArrayLike) -> float:
    """Scale-invariant signal-to-distortion ratio, Le Roux et al. (2019), eq. 3, dB."""
    found, wanted = _signals(estimate, reference)
    energy = float(wanted @ wanted)
    if energy < 1e-9 or float(found @ found) < 1e-12:
        return RANGE[0]
    target = (found @ wanted) / energy * wanted
    rest = found - target
    return float(np.clip(10 * np.log10((target @ target + 1e-12) / (rest @ rest + 1e-12)), *RANGE))


def si_sdr_improvement(
    estimates: Sequence[ArrayLike], images: ArrayLike, mixture: ArrayLike
) -> list[tuple[float, float]]:
    """(SI-SDR, improvement over the mixture) of each true image (sources, 2, frames), in its louder channel.

    Estimates are (frames,) or (2, frames) and are paired so that the sum is largest; a mono one is compared with either
    channel. A source without an estimate is left with the mixture.
    """
    truth, mixed = np.asarray(images, float), np.asarray(mixture, float)
    if truth.ndim != 3 or truth.shape[1:] != mixed.shape:
        raise SpatialError(f"Got images {truth.shape} for a mixture {mixed.shape}; give (sources, 2, frames) each.")
    louder = [int(np.argmax((image**2).sum(axis=1))) for image in truth]
    best = np.array([si_sdr(mixed[ear], image[ear]) for ear, image in zip(louder, truth, strict=True)])
    before = best.copy()
    heard = [each for each in (np.asarray(e, float) for e in estimates) if np.abs(each).max(initial=0) > 1e-6]
    values = [[_stem(each, image, ear) for each in heard] for ear, image in zip(louder, truth, strict=True)]
    rows, columns = linear_sum_assignment(np.reshape(values, (len(truth), len(heard))), maximize=True)
    best[rows] = np.reshape(values, (len(truth), len(heard)))[rows, columns]
    return [(float(after), float(after - first)) for after, first in zip(best, before, strict=True)]


def evaluate(truth: Scene, estimate: Scene, mixture: ArrayLike | None = None) -> dict[str, float]:
    """Every score of one scene; what the truth has no case for is left out, SI-SDR where there is no mixture."""
    true, found = ([_place(source) for source in scene.sources] for scene in (truth, estimate))
    precision, recall, f = precision_recall_f(true, found)
    scores = {"error": mean_error(true, found), "precision": precision, "recall": recall, "f": f}
    scores |= {"count_error": count_error(true, found), "setup": float(truth.setup == estimate.setup)}
    if any(_stays(place) for place in true):
        scores["side"] = side_accuracy(true, found)
    if any(not _stays(place) for place in true):
        tracks = [error for t, _, error in pair(true, found) if not _stays(true[t])]
        scores["track_error"] = float(np.mean(tracks)) if tracks else float("nan")
        scores["direction"] = direction_accuracy(true, found)
    images = [source.image for source in truth.sources if source.image is not None]
    if mixture is not None and len(images) == len(truth.sources) > 0:
        stems = [source.signal if source.image is None else source.image for source in estimate.sources]
        both = np.mean(si_sdr_improvement(stems, np.stack(images), mixture), axis=0)
        scores |= {"si_sdr": float(both[0]), "si_sdr_improvement": float(both[1])}
    return scores


def _place(source: Source) -> Place:
    return source.path if source.path else source.direction.azimuth


def _stays(place: Place) -> bool:
    return bool(np.isscalar(place))


def _points(place: Place) -> NDArray[np.float64]:
    """(points, 2): seconds and azimuths, one point of what stays."""
    return np.array([(0.0, place)] if _stays(place) else place, float).reshape(-1, 2)


def _at(place: Place, times: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.interp(times, *_points(place).T)


def _mean(place: Place) -> float:
    return float(_points(place)[:, 1].mean())


def _slope(place: Place) -> float:
    points = _points(place)
    return float(np.polyfit(points[:, 0], points[:, 1], 1)[0]) if len(points) > 1 else 0.0


def _share(part: int, whole: int, what: str) -> float:
    if not whole:
        warnings.warn(f"There are no {what}: the score is 0.", stacklevel=3)
    return part / max(whole, 1)


def _stem(estimate: NDArray, image: NDArray, ear: int) -> float:
    return si_sdr(estimate[ear], image[ear]) if estimate.ndim == 2 else max(si_sdr(estimate, side) for side in image)


def _signals(estimate: ArrayLike, reference: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found, wanted = np.asarray(estimate, float), np.asarray(reference, float)
    if found.ndim != 1 or found.shape != wanted.shape:
        raise SpatialError(f"Got signals {found.shape} and {wanted.shape}, want two of (frames,); cut or pad one.")
    return found, wanted
