"""Small networks whose weights ship with the package; `experiments.world.training.fit_listening` fits them.

They only weigh cues against each other; everything that can be derived is derived elsewhere.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float
from scipy.special import expit

from spatial.maps import Maps
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
    with (files(__package__) / f"{name}.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    return Network(**{**arrays, "classes": tuple(str(each) for each in arrays["classes"])})


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network says of a recording under the assumption of one setup."""

    presence: Float[np.ndarray, " azimuths"]  # of a source, in [0, 1]
    logits: Float[np.ndarray, " azimuths"]  # of the presence
    activity: Float[np.ndarray, "blocks azimuths"]  # of a source in each block of time, in [0, 1]
    counts: Float[np.ndarray, "4"]  # probabilities of one to four sources
    validity: float  # logit: whether the assumed setup is right


@lru_cache(maxsize=1)
def _load_heatmap_weights() -> dict[str, Array]:
    with (files(__package__) / "heatmap.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {key: stored[key].astype(np.float32) for key in stored.files}


def predict_heatmap(maps: Maps) -> Answer:
    """Convolutions over time and azimuth, pooled over time, then over the azimuth alone.

    Averaged over the scene and its mirror image: the answer is symmetric.
    """
    weights = _load_heatmap_weights()
    overall = (maps.overall - weights["mean"]) / weights["scale"]
    timed = (maps.timed - weights["timed_mean"]) / weights["timed_scale"]
    one = _forward(weights, overall, timed)
    two = _forward(weights, overall[:, ::-1], timed[:, :, ::-1])
    logits = (one[0] + two[0][::-1]).astype(float) / 2
    activity = expit((one[1] + two[1][:, ::-1]) / 2)
    score = (one[2] + two[2]).astype(float) / 2
    share = np.exp(score - score.max())
    return Answer(expit(logits), logits, activity, share / share.sum(), (one[3] + two[3]) / 2)


def _forward(
    weights: dict[str, Array],
    overall: Float[np.ndarray, "maps azimuths"],
    timed: Float[np.ndarray, "timed blocks azimuths"],
) -> tuple[Float[np.ndarray, " azimuths"], Float[np.ndarray, "blocks azimuths"], Float[np.ndarray, " counts"], float]:
    """Logits of presence, of activity, of the number of sources, and of whether the assumed setup is right."""
    hidden = np.maximum(_convolve_plane(timed, weights["t1.weight"], weights["t1.bias"]), 0)
    hidden = np.maximum(_convolve_plane(hidden, weights["t2.weight"], weights["t2.bias"]), 0) + hidden
    active = np.tensordot(weights["activity.weight"][0, :, 0, 0], hidden, axes=1) + weights["activity.bias"]
    most = -(-timed.shape[1] // 4)
    ranked, share = np.sort(hidden, axis=1)[:, ::-1], expit(active)
    best = np.sort(share, axis=0)[::-1][:most].mean(axis=0)
    pooled = [hidden.mean(axis=1), ranked[:, :most].mean(axis=1), ranked[:, 0], share.mean(axis=0)[None], best[None]]
    x = np.concatenate([overall, *pooled])
    x = np.maximum(_convolve(x, weights["a.weight"], weights["a.bias"], 1), 0)
    x = np.maximum(_convolve(x, weights["b.weight"], weights["b.bias"], 1), 0) + x
    x = np.maximum(_convolve(x, weights["c.weight"], weights["c.bias"], 2), 0) + x
    heat = _convolve(x, weights["heat.weight"], weights["heat.bias"], 1)[0]
    ends = np.concatenate([x.mean(axis=1), x.max(axis=1)])
    valid = float((weights["valid.weight"] @ ends + weights["valid.bias"])[0])
    return heat, active, weights["count.weight"] @ ends + weights["count.bias"], valid


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


def _convolve_plane(
    maps: Float[np.ndarray, "maps blocks azimuths"],
    weight: Float[np.ndarray, "hidden maps down across"],
    bias: Float[np.ndarray, " hidden"],
) -> Float[np.ndarray, "hidden blocks azimuths"]:
    """Two-dimensional convolution, padded with zeros to the same size."""
    down, across = weight.shape[2:]
    padded = np.pad(maps, ((0, 0), (down // 2, down // 2), (across // 2, across // 2)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (down, across), axis=(1, 2))
    return np.tensordot(weight, windows, axes=((1, 2, 3), (0, 3, 4))) + bias[:, None, None]
