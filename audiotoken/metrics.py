"""Does the picture show what was heard? Scores of AudioToken (arXiv 2305.13050, section 4) on embeddings.

Conventions: embeddings are (examples, width) real numbers of any length that is not 0; row i of `audio`, `generated`
and `real` belongs to example i; `labels` are (examples,) indices into `classes`, (classes, width). Similarity is the
cosine. Public re-implementations disagree on what AIS and IIS are, so all three readings have names of their own:

- `ais`, `iis`: the cosine itself, in [-1, 1]. Its level is that of the models, not of the pictures: compare only within
  one pair of models.
- `ais_z`, `iis_z`: how many standard deviations it is above that of the same clip (or real picture) with the other
  pictures of the set. Shuffled pairs are 0 on average.
- `ais_win`, `iis_win`: share of the other clips (or real pictures) of the set that fit the picture less than its own, a
  tie is a half: what the win rate against a random other clip is on average. Shuffled pairs are 0.5; the best that
  can be is below 1 where others of the set sound alike.
- `aic`: share of pictures whose class, by the nearest of `classes`, is the label. Chance is 1 / classes.
- `fid`, `clip_fid`: Fréchet distance between generated and real pictures as a feature model, or CLIP, sees them; 0 is
  best. It is biased upwards on few pictures: compare sets of one size only.
"""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiotoken.errors import MetricError

Array = NDArray[np.float64]
HIGHER_IS_BETTER = {
    **{f"{name}{kind}": True for name in ("ais", "iis") for kind in ("", "_z", "_win")},
    "aic": True,
    "fid": False,
    "clip_fid": False,
}


def validate(name: str, embeddings: ArrayLike, like: ArrayLike | None = None) -> Array:
    """(examples, width) float64, finite; as many and as wide as `like`, if that is given."""
    array = np.asarray(embeddings, float)
    if array.ndim != 2 or 0 in array.shape:
        raise MetricError(f"Got {name} {array.shape}, want (examples, width) with one example or more; reshape it.")
    if not np.isfinite(array).all():
        raise MetricError(f"Got {name} with values that are no numbers; look for a silent clip or an empty picture.")
    if like is not None and array.shape != np.shape(like):
        raise MetricError(f"Got {name} {array.shape} beside {np.shape(like)}, want one row for each example, as wide.")
    return array


def similarity(a: ArrayLike, b: ArrayLike) -> Array:
    """Cosines of every row of `a` with every row of `b`: (rows of a, rows of b)."""
    left, right = _unit("embeddings", a), _unit("embeddings", b)
    if left.shape[1] != right.shape[1]:
        raise MetricError(
            f"Got embeddings {left.shape[1]} and {right.shape[1]} wide, want one space; use the Wav2CLIP of this CLIP."
        )
    return left @ right.T


def cosine(a: ArrayLike, b: ArrayLike) -> Array:
    """Of each pair, (examples,)."""
    validate("the second embeddings", b, like=a)
    return np.diagonal(similarity(a, b)).copy()


def z_score(a: ArrayLike, b: ArrayLike) -> Array:
    """Each pair's cosine, in standard deviations of a_i with all the other b above their mean; (examples,)."""
    scores = _square(a, b)
    others = _others(scores)
    deviation = others.std(axis=1)
    if (deviation < 1e-9).any():
        warnings.warn("The other pictures are all alike to some clip: its z-score is 0.", stacklevel=2)
    gap = np.diagonal(scores) - others.mean(axis=1)
    return np.where(deviation < 1e-9, 0.0, gap / np.maximum(deviation, 1e-9))


def win_rate(a: ArrayLike, b: ArrayLike, draws: int | None = None, seed: int = 0) -> Array:
    """Share of other a_j that fit b_i less than a_i does, ties half; (examples,).

    Of all the others, or of `draws` of them that are drawn for each example, with repeats, by `seed`.
    """
    scores = _square(a, b).T  # [picture, clip]
    others = _others(scores)
    if draws is not None:
        chosen = np.random.default_rng(seed).integers(others.shape[1], size=(len(others), draws))
        others = np.take_along_axis(others, chosen, axis=1)
    gap = np.diagonal(scores)[:, None] - others
    return np.where(np.abs(gap) < 1e-9, 0.5, gap > 0).mean(axis=1)


def classified(images: ArrayLike, classes: ArrayLike, labels: ArrayLike) -> Array:
    """1 where the nearest class is the label, else 0; (examples,)."""
    scores, wanted = similarity(images, classes), np.asarray(labels)
    if wanted.shape != (len(scores),) or not np.issubdtype(wanted.dtype, np.integer):
        raise MetricError(f"Got labels {wanted.shape} of {wanted.dtype}, want {len(scores)} indices of classes.")
    if wanted.min() < 0 or wanted.max() >= scores.shape[1]:
        raise MetricError(f"Got labels {wanted.min()} to {wanted.max()}, want them below {scores.shape[1]} classes.")
    return (scores.argmax(axis=1) == wanted).astype(float)


def frechet_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Fréchet distance of two Gaussians fitted to features, Heusel et al. (2017), eq. 6; (examples, width) each."""
    first, second = validate("features", a), validate("features", b)
    if first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise MetricError(
            f"Got features {first.shape} and {second.shape}, want two of (examples, width), as wide, two rows or more."
        )
    if min(len(first), len(second)) <= first.shape[1]:
        warnings.warn(
            f"Fréchet distance of {len(first)} and {len(second)} examples in {first.shape[1]} dimensions: too few to "
            "compare with other counts.",
            stacklevel=2,
        )
    gap = first.mean(axis=0) - second.mean(axis=0)
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    one, two = np.atleast_2d(one), np.atleast_2d(two)
    root = _root(one)
    spread = np.trace(one) + np.trace(two) - 2 * np.trace(_root(root @ two @ root))
    return float(max(gap @ gap + spread, 0.0))


def per_example(
    *,
    generated: ArrayLike,
    audio: ArrayLike | None = None,
    real: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> dict[str, Array]:
    """Every score that has a value for each example, (examples,); those whose inputs are None are left out."""
    scores: dict[str, Array] = {}
    for name, other in (("ais", audio), ("iis", real)):
        if other is not None:
            kinds: Mapping[str, Callable[..., Array]] = {"": cosine, "_z": z_score, "_win": win_rate}
            scores |= {f"{name}{kind}": function(other, generated) for kind, function in kinds.items()}
    if classes is not None and labels is not None:
        scores["aic"] = classified(generated, classes, labels)
    return scores


def evaluate(
    *,
    generated: ArrayLike,
    audio: ArrayLike | None = None,
    real: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    generated_features: ArrayLike | None = None,
    real_features: ArrayLike | None = None,
) -> dict[str, float]:
    """Every score of one set of pictures; what the inputs do not allow is left out."""
    each = per_example(generated=generated, audio=audio, real=real, classes=classes, labels=labels)
    scores = {name: float(values.mean()) for name, values in each.items()}
    if real is not None:
        scores["clip_fid"] = frechet_distance(generated, real)
    if generated_features is not None and real_features is not None:
        scores["fid"] = frechet_distance(generated_features, real_features)
    return scores


def bootstrap(values: ArrayLike, *, resamples: int = 1000, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the mean of (seeds, examples) or (examples,), both drawn anew; Efron (1979).

    A seed is drawn with all its examples and an example with all its seeds, so that neither is counted as if every
    picture were independent of the others.
    """
    array = np.atleast_2d(np.asarray(values, float))
    if array.ndim != 2 or 0 in array.shape or not np.isfinite(array).all():
        raise MetricError(f"Got values {array.shape}, want finite numbers (seeds, examples); look at the scores.")
    rng = np.random.default_rng(seed)
    seeds, examples = array.shape
    rows = rng.integers(seeds, size=(resamples, seeds, 1))
    columns = rng.integers(examples, size=(resamples, 1, examples))
    means = array[rows, columns].mean(axis=(1, 2))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_distance(
    a: ArrayLike, b: ArrayLike, *, resamples: int = 100, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Interval of the Fréchet distance when the generated pictures `a` are drawn anew.

    Repeats make a set look narrower and farther away than it is, so only the spread of the resamples is taken, around
    the distance itself.
    """
    features, rng = validate("features", a), np.random.default_rng(seed)
    value = frechet_distance(features, b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said once, above
        draws = [
            frechet_distance(features[rng.integers(len(features), size=len(features))], b) for _ in range(resamples)
        ]
    low, high = np.quantile(np.array(draws) - np.mean(draws), [(1 - level) / 2, (1 + level) / 2])
    return float(max(value + low, 0.0)), float(value + high)


def _unit(name: str, embeddings: ArrayLike) -> Array:
    array = validate(name, embeddings)
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    if (lengths < 1e-12).any():
        raise MetricError(
            f"Got {name} of length 0 in row {int(lengths.argmin())}, want a direction; leave that row out."
        )
    return array / lengths


def _square(a: ArrayLike, b: ArrayLike) -> Array:
    """[i of a, j of b], at least two of each."""
    validate("the second embeddings", b, like=a)
    scores = similarity(a, b)
    if len(scores) < 2:
        raise MetricError("Got 1 example, want 2 or more: there is no other one to compare with; add examples.")
    return scores


def _others(scores: Array) -> Array:
    """Each row without its diagonal: (examples, examples - 1)."""
    count = len(scores)
    return scores[~np.eye(count, dtype=bool)].reshape(count, count - 1)


def _root(matrix: Array) -> Array:
    """Square root of a symmetric positive matrix; rounding below zero is cut."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
