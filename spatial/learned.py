"""Small networks whose weights ship with the package: one hidden layer, fitted by `experiments.fit_listening`.

Everything that could be derived is derived elsewhere; these only weigh clues against each other.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

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
