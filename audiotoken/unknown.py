"""Is a sound one of those that an encoder knows? Its energy says so: all class scores at once (Liu et al. 2020).

A classifier's own confidence says little of what it never heard. The scores here already have the distance to what was
heard in training taken off (Lee et al. 2018, see `audiotoken.encoders.mini`). A logistic curve makes the energy a
probability; below the threshold, which keeps 95 % of known sounds, a sound is called unknown. The second best score and
the distances by themselves were tried as further clues and told real strangers no better.
`experiments.world.training.fit_unknown` fits it, on classes taken away from the encoder, and measures it.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from audiotoken.encoders.mini import MiniEncoder

NAME = "unknown.json"  # beside the weights of the encoder


@dataclass(frozen=True)
class Familiarity:
    """What an encoder's energy means."""

    slope: float
    offset: float
    threshold: float  # of the energy; below it a sound is called unknown

    def probability(self, energy: ArrayLike) -> NDArray[np.float64]:
        """(...) -> (...), 0 strange to 1 familiar, where as many sounds are known as unknown."""
        return 1 / (1 + np.exp(-(self.slope * np.asarray(energy, float) + self.offset)))

    def knows(self, energy: float) -> bool:
        return bool(energy >= self.threshold)

    def save(self, folder: str | os.PathLike) -> None:
        """Into `folder`, as JSON."""
        (Path(folder) / NAME).write_text(json.dumps(asdict(self), indent=1) + "\n")


def load_familiarity(folder: str | os.PathLike) -> Familiarity | None:
    """Of the encoder in that folder; None when there is none for it."""
    path = Path(folder) / NAME
    return Familiarity(**json.loads(path.read_text())) if path.is_file() else None


@torch.no_grad()
def compute_energy(encoder: MiniEncoder, waveform: Tensor, without: int | None = None) -> float:
    """(1, frames) at the encoder's rate -> its energy; `without` one class, as if the encoder did not know that."""
    scores, means, weight, _ = encoder.windows(waveform)  # (1, windows, classes), (1, windows, width), (1, windows)
    pooled = ((scores - encoder.strangeness(means)) * weight[..., None]).sum(1)[0]  # (classes,)
    if without is not None:
        pooled = pooled[torch.arange(len(pooled)) != without]
    return float(torch.logsumexp(pooled, 0))
