"""Small networks whose weights ship with the package; `experiments.fit_listening` fits them.

They only weigh cues against each other; everything that can be derived is derived elsewhere.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from spatial.scene import Array


@dataclass(frozen=True, eq=False)
class Network:
    """softmax(relu((x - mean) / scale @ first + bias) @ second + offset)."""

    mean: Float[np.ndarray, " features"]
    scale: Float[np.ndarray, " features"]
    first: Float[np.ndarray, "features hidden"]
    bias: Float[np.ndarray, " hidden"]
    second: Float[np.ndarray, "hidden classes"]
    offset: Float[np.ndarray, " classes"]
    classes: tuple[str, ...]

    def predict_probabilities(
        self, features: Float[np.ndarray, "*lead features"]
    ) -> Float[np.ndarray, "*lead classes"]:
        """Probabilities that sum to one; features far from those of the training set are clipped."""
        scaled = np.clip((features - self.mean) / self.scale, -6, 6)
        score = np.maximum(scaled @ self.first + self.bias, 0) @ self.second + self.offset
        share = np.exp(score - score.max(axis=-1, keepdims=True))
        return share / share.sum(axis=-1, keepdims=True)


@lru_cache(maxsize=8)
def load_network(name: str) -> Network:
    """The network that ships under that name."""
    with (files("spatial") / f"{name}.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return Network(**{**arrays, "classes": tuple(str(each) for each in arrays["classes"])})


@lru_cache(maxsize=1)
def _load_heatmap_weights() -> dict[str, Array]:
    with (files("spatial") / "heatmap.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {key: stored[key].astype(np.float32) for key in stored.files}


def predict_heatmap(
    maps: Float[np.ndarray, "maps azimuths"],
) -> tuple[Float[np.ndarray, " azimuths"], Float[np.ndarray, " azimuths"], Float[np.ndarray, " counts"]]:
    """(presence of a source in [0, 1], its logits, probabilities of one to four sources).

    Three convolutions over the azimuth, averaged over the scene and its mirror image: the answer is symmetric.
    """
    weights = _load_heatmap_weights()
    scaled = (maps - weights["mean"]) / weights["scale"]
    logits, counts = _forward(weights, scaled)
    mirrored, mirrored_counts = _forward(weights, scaled[:, ::-1])
    mean = (logits + mirrored[::-1]).astype(float) / 2
    score = (counts + mirrored_counts).astype(float) / 2
    share = np.exp(score - score.max())
    return expit(mean), mean, share / share.sum()


def _forward(
    weights: dict[str, Array], maps: Float[np.ndarray, "maps azimuths"]
) -> tuple[Float[np.ndarray, " azimuths"], Float[np.ndarray, " counts"]]:
    """Logits of presence and of the number of sources."""
    hidden = np.maximum(_convolve(maps, weights["a.weight"], weights["a.bias"], 1), 0)
    hidden = np.maximum(_convolve(hidden, weights["b.weight"], weights["b.bias"], 1), 0) + hidden
    hidden = np.maximum(_convolve(hidden, weights["c.weight"], weights["c.bias"], 2), 0) + hidden
    heat = _convolve(hidden, weights["heat.weight"], weights["heat.bias"], 1)[0]
    pooled = np.concatenate([hidden.mean(axis=1), hidden.max(axis=1)])
    return heat, weights["count.weight"] @ pooled + weights["count.bias"]


def _convolve(
    maps: Float[np.ndarray, "maps azimuths"],
    weight: Float[np.ndarray, "hidden maps taps"],
    bias: Float[np.ndarray, " hidden"],
    dilation: int,
) -> Float[np.ndarray, "hidden azimuths"]:
    """One-dimensional convolution, padded with zeros to the same width."""
    taps = weight.shape[2]
    reach = dilation * (taps // 2)
    padded = np.pad(maps, ((0, 0), (reach, reach)))
    width = maps.shape[1]
    windows = np.stack([padded[:, dilation * t : dilation * t + width] for t in range(taps)], axis=1)
    return np.tensordot(weight, windows, axes=((1, 2), (0, 1))) + bias[:, None]
