"""How many of the peaks over the azimuth are sources: what each explains, and whether it goes its own way in time.

A reflection and a side lobe sound with their source, at its frequencies and right after it; another source does not.
Bins are shared out among the peaks, and each pair of peaks is compared in time and frequency. A small network weighs
these cues.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.ndimage import uniform_filter1d

from spatial.evidence import Evidence, steering_distance
from spatial.learned import Answer, load_network
from spatial.maps import COUNT, azimuth_grid
from spatial.setups import NAMES, Setup

PEAKS = 4  # that are compared at most
BINS, PER_SECOND = 6000, 1200  # that are used: at least, and for each second of a longer recording
WIDTH = 0.03  # of steering distances
COHERENCE_POWER = 4  # exponent of a bin's coherence in its weight
FRAMES = 6  # of the transform, in which a reflection follows its source
SMOOTH, ACROSS = 9, 5  # frames (a tenth of a second) and frequencies over which sums are averaged
FLOOR = 0.1  # added to ratios before their logarithms
CERTAIN = 0.8  # presence from which a peak is a source, whatever the network says of sounds that it has never heard

Peaks = Sequence[tuple[float, float]]  # (position on the grid, presence), highest first
Parts = Float[np.ndarray, "peaks frequencies times"]  # the weight of the bins of each peak


def estimate_number(evidence: Evidence, setup: Setup, answer: Answer, peaks: Peaks) -> int:
    """The likeliest number of sources, from 1 to that of the peaks, which are those of the answer, given the setup."""
    shares = load_network("counting").predict_probabilities(compute_cues(evidence, setup, answer, peaks))
    certain = sum(presence >= CERTAIN for _, presence in peaks)
    return max(int(shares[: len(peaks)].argmax()) + 1, certain)


def compute_cues(evidence: Evidence, setup: Setup, answer: Answer, peaks: Peaks) -> Float[np.ndarray, " cues"]:
    """The cues of each of `PEAKS` peaks, zeros for those that are missing, and those of the recording as a whole."""
    peaks = peaks[:PEAKS]
    seconds = float(evidence.times.max())
    evidence = evidence.thin_out(max(BINS, round(PER_SECOND * seconds)))
    step = 2 * setup.limit / (COUNT - 1)
    azimuths = np.array([azimuth_grid(setup)[0] + step * position for position, _ in peaks], np.float32)
    azimuths = azimuths.clip(-setup.limit, setup.limit)
    power = evidence.weight * np.linalg.norm(evidence.stokes, axis=1) ** COHERENCE_POWER
    distances = steering_distance(evidence, setup, azimuths)
    density = WIDTH * (1 + WIDTH) / (distances + WIDTH) ** 2
    mine = power[:, None] * density / (density.sum(axis=1, keepdims=True) + 1)  # (bins, peaks)
    parts = _lay_out(evidence, mine)
    nearness = (mine * np.log(distances + 1e-3)).sum(axis=0) / (mine.sum(axis=0) + 1e-9)
    logits = [answer.logits[round(float(np.clip(position, 0, COUNT - 1)))] for position, _ in peaks]
    share = np.log(mine.sum(axis=0) / (power.sum() + 1e-9) + 1e-4)
    own = [logits, [presence for _, presence in peaks], share, nearness, *_describe_activity(parts)]
    own += [np.abs(azimuths) / setup.limit]
    rows = np.concatenate([np.array(own).T, compare_peaks(parts, azimuths / setup.limit)], axis=1)
    rows = np.pad(rows, ((0, PEAKS - len(rows)), (0, 0)))
    coherence = float(power.sum() / (evidence.weight.sum() + 1e-9))
    known = [float(setup.name == name) for name in NAMES]
    return np.concatenate([rows.ravel(), answer.counts, [answer.validity, coherence, *known, len(peaks)]])


def _lay_out(evidence: Evidence, weight: Float[np.ndarray, "bins peaks"]) -> Parts:
    """The weights of bins at their frequency and time."""
    moments, time = np.unique(evidence.times, return_inverse=True)
    hop = float(np.diff(moments).min()) if len(moments) > 1 else 1.0
    time = np.rint((moments - moments[0]) / hop).astype(int)[time]
    shape = len(evidence.frequencies), int(time.max()) + 1
    cell = evidence.index * shape[1] + time
    return np.stack([np.bincount(cell, each, shape[0] * shape[1]).reshape(shape) for each in weight.T]).astype(
        np.float32
    )


def _describe_activity(parts: Parts) -> list[Float[np.ndarray, " peaks"]]:
    """Of the shares of each block of time: the highest, how often it is the most, the best eighth; entropy over
    frequency."""
    blocks = np.add.reduceat(parts.sum(axis=1), np.arange(0, parts.shape[2], SMOOTH), axis=1)
    total = blocks.sum(axis=0)
    shares = np.sort(blocks / (total + 0.1 * np.median(total) + 1e-9), axis=1)
    best = shares[:, -max(1, shares.shape[1] // 8) :].mean(axis=1)
    profile = uniform_filter1d(parts.sum(axis=2), ACROSS, axis=1)
    profile = profile / (profile.sum(axis=1, keepdims=True) + 1e-9)
    return [shares[:, -1], (shares > 0.5).mean(axis=1), best, -(profile * np.log(profile + 1e-9)).sum(axis=1)]


def compare_peaks(parts: Parts, positions: Float[np.ndarray, " peaks"]) -> Float[np.ndarray, "peaks cues"]:
    """Each peak beside the others: the cues of the pair with the heaviest other, the highest and the lowest of all.

    Of a pair: how much heavier the other is; how often, beside chance, both sound in the same bin, this one after the
    other, before it, and the ratio of these; correlation of their courses in time, and of their frequencies; distance.
    """
    count = len(parts)
    if count < 2:
        return np.zeros((count, 20))
    course, profile = parts.sum(axis=1), parts.sum(axis=2)
    total = course.sum(axis=1) + 1e-9
    late = np.pad(parts, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]
    before = FRAMES * uniform_filter1d(late, FRAMES, axis=2, mode="constant", origin=FRAMES // 2 - 1)
    flat = parts.reshape(count, -1)
    chance = profile @ profile.T / parts.shape[2] + 1e-9
    same = np.log(flat @ flat.T / chance + FLOOR)
    after = np.log(flat @ before.reshape(count, -1).T / (FRAMES * chance) + FLOOR)
    smooth = uniform_filter1d(course, SMOOTH, axis=1, mode="constant")
    smooth = smooth - smooth.mean(axis=1, keepdims=True)
    across = uniform_filter1d(profile, ACROSS, axis=1, mode="constant")
    cues = [
        np.log(total[None] / total[:, None]),
        same,
        after,
        after.T,
        after - after.T,
        _cosines(smooth),
        _cosines(across),
        np.abs(positions[:, None] - positions[None]),
    ]
    pairs = np.stack(cues, axis=-1)  # (peaks, others, 8)
    others = pairs[~np.eye(count, dtype=bool)].reshape(count, count - 1, -1)
    heaviest = others[np.arange(count), others[..., 0].argmax(axis=1)]
    return np.concatenate([heaviest, others[..., 1:7].max(axis=1), others[..., 1:7].min(axis=1)], axis=1)


def _cosines(rows: Float[np.ndarray, "peaks values"]) -> Float[np.ndarray, "peaks peaks"]:
    unit = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9)
    return unit @ unit.T
