"""Scores for how well pictures match sounds: those of AudioToken (arXiv 2305.13050, section 4), on embeddings.

Conventions: embeddings are (examples, width) real vectors of any norm except 0; row i of `audio`, `generated`
and `real` belongs to example i; `labels` are (examples,) indices into `classes`, (classes, width). Similarity is the
cosine. Public re-implementations disagree on AIS and IIS, so each of the three definitions has its own name:

- `ais`, `iis`: the cosine itself, in [-1, 1]. Its level depends on the models: compare only within one pair of
  models.
- `ais_z`, `iis_z`: how many standard deviations it is above the mean cosine of the same clip (or real picture) with
  the other pictures of the set. Shuffled pairs give 0 on average.
- `ais_win`, `iis_win`: share of the other clips (or real pictures) of the set that match the picture less than its own
  does, ties count half: the expected win rate against a random other clip. Shuffled pairs give 0.5; the maximum is
  below 1 if clips of the set sound alike.
- `aic`: share of pictures whose nearest of `classes` is the label. Chance is 1 / classes.
- `fid`, `clip_fid`: Fréchet distance between generated and real pictures in the features of a feature model, or of
  CLIP; 0 is best. It is biased upwards for few pictures: compare sets of one size only.
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
    """Embeddings as (examples, width) float64; raises MetricError unless they are finite and shaped like `like`."""
    array = np.asarray(embeddings, float)
    if array.ndim != 2 or 0 in array.shape:
        raise MetricError(
            f"Got {name} {array.shape}, expected (examples, width) with at least one example; reshape it."
        )
    if not np.isfinite(array).all():
        raise MetricError(f"Got {name} with NaN or infinite values; look for a silent clip or an empty picture.")
    if like is not None and array.shape != np.shape(like):
        raise MetricError(
            f"Got {name} {array.shape}, expected {np.shape(like)} like the others; pass one row for each example."
        )
    return array


def similarity(a: ArrayLike, b: ArrayLike) -> Array:
    """Cosines of every row of `a` with every row of `b`: (rows of a, rows of b)."""
    left, right = _unit("embeddings", a), _unit("embeddings", b)
    if left.shape[1] != right.shape[1]:
        raise MetricError(
            f"Got embeddings {left.shape[1]} and {right.shape[1]} wide, expected one width; use the Wav2CLIP of this "
            "CLIP."
        )
    return left @ right.T


def cosine(a: ArrayLike, b: ArrayLike) -> Array:
    """Cosine of each pair, (examples,)."""
    validate("the second embeddings", b, like=a)
    return np.diagonal(similarity(a, b)).copy()


def z_score(a: ArrayLike, b: ArrayLike) -> Array:
    """Cosine of each pair, in standard deviations above the mean cosine of a_i with all other b; (examples,)."""
    scores = _square(a, b)
    others = _others(scores)
    deviation = others.std(axis=1)
    if (deviation < 1e-9).any():
        warnings.warn("All other pictures are equally similar to some clip, so its z-score is 0.", stacklevel=2)
    gap = np.diagonal(scores) - others.mean(axis=1)
    return np.where(deviation < 1e-9, 0.0, gap / np.maximum(deviation, 1e-9))


def win_rate(a: ArrayLike, b: ArrayLike, draws: int | None = None, seed: int = 0) -> Array:
    """Share of other a_j that are less similar to b_i than a_i is, ties count half; (examples,).

    Over all others, or over `draws` of them, drawn for each example with replacement.
    """
    scores = _square(a, b).T  # [picture, clip]
    others = _others(scores)
    if draws is not None:
        chosen = np.random.default_rng(seed).integers(others.shape[1], size=(len(others), draws))
        others = np.take_along_axis(others, chosen, axis=1)
    gap = np.diagonal(scores)[:, None] - others
    return np.where(np.abs(gap) < 1e-9, 0.5, gap > 0).mean(axis=1)


def score_classification(images: ArrayLike, classes: ArrayLike, labels: ArrayLike) -> Array:
    """1 if the nearest class is the label, else 0; (examples,)."""
    scores, wanted = similarity(images, classes), np.asarray(labels)
    if wanted.shape != (len(scores),) or not np.issubdtype(wanted.dtype, np.integer):
        raise MetricError(f"Got labels {wanted.shape} of {wanted.dtype}, expected {len(scores)} indices of classes.")
    if wanted.min() < 0 or wanted.max() >= scores.shape[1]:
        raise MetricError(f"Got labels {wanted.min()} to {wanted.max()}, expected 0 to {scores.shape[1] - 1}.")
    return (scores.argmax(axis=1) == wanted).astype(float)


def frechet_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Fréchet distance of two Gaussians fitted to features, Heusel et al. (2017), eq. 6; (examples, width) each."""
    first, second = validate("features", a), validate("features", b)
    if first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise MetricError(
            f"Got features {first.shape} and {second.shape}, expected two of (examples, width) with one width and at "
            "least two rows."
        )
    if min(len(first), len(second)) <= first.shape[1]:
        warnings.warn(
            f"Fréchet distance of {len(first)} and {len(second)} examples in {first.shape[1]} dimensions: too few to "
            "compare with sets of another size.",
            stacklevel=2,
        )
    gap = first.mean(axis=0) - second.mean(axis=0)
    one, two = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    one, two = np.atleast_2d(one), np.atleast_2d(two)
    root = _root(one)
    spread = np.trace(one) + np.trace(two) - 2 * np.trace(_root(root @ two @ root))
    return float(max(gap @ gap + spread, 0.0))


def score_examples(
    *,
    generated: ArrayLike,
    audio: ArrayLike | None = None,
    real: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    labels: ArrayLike | None = None,
) -> dict[str, Array]:
    """The scores that have a value for each example, (examples,), as far as their inputs are given."""
    scores: dict[str, Array] = {}
    for name, other in (("ais", audio), ("iis", real)):
        if other is not None:
            kinds: Mapping[str, Callable[..., Array]] = {"": cosine, "_z": z_score, "_win": win_rate}
            scores |= {f"{name}{kind}": function(other, generated) for kind, function in kinds.items()}
    if classes is not None and labels is not None:
        scores["aic"] = score_classification(generated, classes, labels)
    return scores


def score_set(
    *,
    generated: ArrayLike,
    audio: ArrayLike | None = None,
    real: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    generated_features: ArrayLike | None = None,
    real_features: ArrayLike | None = None,
) -> dict[str, float]:
    """All scores of one set of pictures, as far as their inputs are given."""
    each = score_examples(generated=generated, audio=audio, real=real, classes=classes, labels=labels)
    scores = {name: float(values.mean()) for name, values in each.items()}
    if real is not None:
        scores["clip_fid"] = frechet_distance(generated, real)
    if generated_features is not None and real_features is not None:
        scores["fid"] = frechet_distance(generated_features, real_features)
    return scores


def bootstrap_interval(
    values: ArrayLike,
    rows: ArrayLike | None = None,
    columns: ArrayLike | None = None,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of the mean of (rows, columns) or (columns,), both resampled with replacement.

    The pigeonhole bootstrap of Owen (2007), The Annals of Applied Statistics 1(2): the weight of a value is how often
    its row was drawn times how often its column was drawn, since values that share a seed, a clip or a rater are not
    independent. Where values are missing, give those there are, (n,), with the name of each one's row and column. What
    has a single row or column varies by the other alone. MetricError for no value, or one that is not finite.
    """
    array = np.asarray(values, float)
    if array.size == 0 or array.ndim > 2 or not np.isfinite(array).all():
        raise MetricError(f"Got values {array.shape}, expected finite numbers (rows, columns); check the scores.")
    if rows is None or columns is None:
        array = np.atleast_2d(array)
        rows, columns = (each.ravel() for each in np.indices(array.shape))
    names, places = zip(*(np.unique(np.asarray(each), return_inverse=True) for each in (rows, columns)), strict=True)
    sums, counts = np.zeros((2, len(names[0]), len(names[1])))
    np.add.at(sums, places, array.ravel())
    np.add.at(counts, places, 1)
    rng = np.random.default_rng(seed)
    row_weights, column_weights = (
        rng.multinomial(len(each), np.full(len(each), 1 / len(each)), resamples) for each in names
    )  # (resamples, rows), (resamples, columns)
    weights = ((row_weights @ counts) * column_weights).sum(axis=1)
    totals = ((row_weights @ sums) * column_weights).sum(axis=1)
    low, high = np.quantile(totals[weights > 0] / weights[weights > 0], [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_distance_interval(
    a: ArrayLike, b: ArrayLike, *, resamples: int = 100, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Interval of the Fréchet distance with the generated pictures `a` resampled.

    Repeated pictures bias the distance upwards, so the interval has the spread of the resamples around the distance
    itself.
    """
    features, rng = validate("features", a), np.random.default_rng(seed)
    value = frechet_distance(features, b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `frechet_distance` has warned once above
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
            f"Got {name} of norm 0 in row {int(lengths.argmin())}, expected a direction; leave that row out."
        )
    return array / lengths


def _square(a: ArrayLike, b: ArrayLike) -> Array:
    """Cosines [i of a, j of b] of at least two pairs."""
    validate("the second embeddings", b, like=a)
    scores = similarity(a, b)
    if len(scores) < 2:
        raise MetricError("Got 1 example, expected at least 2 to compare with each other; add examples.")
    return scores


def _others(scores: Array) -> Array:
    """Each row without its diagonal: (examples, examples - 1)."""
    count = len(scores)
    return scores[~np.eye(count, dtype=bool)].reshape(count, count - 1)


def _root(matrix: Array) -> Array:
    """Square root of a positive semidefinite matrix; negative rounding errors are set to 0."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
