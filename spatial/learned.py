"""Small networks whose weights ship with the package, fitted in the steps of `experiments.fit_listening`.

Everything that could be derived is derived elsewhere; these only weigh clues against each other.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from spatial.scene import Array


@dataclass(frozen=True, eq=False)
class Network:
    """softmax(relu((x - mean) / scale @ first + bias) @ second + offset)."""

    mean: Array  # (features,)
    scale: Array  # (features,)
    first: Array  # (features, hidden)
    bias: Array  # (hidden,)
    second: Array  # (hidden, classes)
    offset: Array  # (classes,)
    classes: tuple[str, ...]

    def probabilities(self, features: Array) -> NDArray[np.float64]:
        """(..., features) -> (..., classes), sums to one; what lies far from all that was seen is brought nearer."""
        near = np.clip((features - self.mean) / self.scale, -6, 6)
        score = np.maximum(near @ self.first + self.bias, 0) @ self.second + self.offset
        share = np.exp(score - score.max(axis=-1, keepdims=True))
        return share / share.sum(axis=-1, keepdims=True)


@lru_cache(maxsize=8)
def network(name: str) -> Network:
    """The one that ships under that name."""
    with (files("spatial") / f"{name}.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        parts = {key: stored[key] for key in stored.files}
    return Network(**{**parts, "classes": tuple(str(each) for each in parts["classes"])})


@lru_cache(maxsize=1)
def _heat() -> dict[str, Array]:
    with (files("spatial") / "heatmap.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {key: stored[key].astype(np.float32) for key in stored.files}


def heatmap(maps: Array) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(channels, places) -> presence (places,) in [0, 1], its logits, and (4,) how likely one to four sources are.

    Three convolutions over the azimuth; the mean of the scene and of its mirror image: left is as good as right.
    """
    parts = _heat()
    seen = (maps - parts["mean"]) / parts["scale"]
    logits, counts = _forward(parts, seen)
    mirrored, counted = _forward(parts, seen[:, ::-1])
    both = (logits + mirrored[::-1]).astype(float) / 2
    score = (counts + counted).astype(float) / 2
    share = np.exp(score - score.max())
    return expit(both), both, share / share.sum()


def _forward(parts: dict[str, Array], seen: Array) -> tuple[Array, Array]:
    hidden = np.maximum(_convolved(seen, parts["a.weight"], parts["a.bias"], 1), 0)
    hidden = np.maximum(_convolved(hidden, parts["b.weight"], parts["b.bias"], 1), 0) + hidden
    hidden = np.maximum(_convolved(hidden, parts["c.weight"], parts["c.bias"], 2), 0) + hidden
    heat = _convolved(hidden, parts["heat.weight"], parts["heat.bias"], 1)[0]
    pooled = np.concatenate([hidden.mean(axis=1), hidden.max(axis=1)])
    return heat, parts["count.weight"] @ pooled + parts["count.bias"]


def _convolved(seen: Array, weight: Array, bias: Array, dilation: int) -> Array:
    """(channels, places) by (outputs, channels, taps), as wide as before, zeros outside."""
    taps = weight.shape[2]
    reach = dilation * (taps // 2)
    padded = np.pad(seen, ((0, 0), (reach, reach)))
    places = seen.shape[1]
    windows = np.stack([padded[:, dilation * t : dilation * t + places] for t in range(taps)], axis=1)
    return np.tensordot(weight, windows, axes=((1, 2), (0, 1))) + bias[:, None]
