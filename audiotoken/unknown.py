"""Detects sounds that an encoder does not know, by its energy: the logsumexp of all class scores (Liu et al. 2020).

The confidence of a classifier says little about classes that it was not trained on. The scores used here are already
reduced by the distance to the training features (Lee et al. 2018, see `audiotoken.encoders.mini`). A logistic curve
turns the energy into a probability; sounds below the threshold, which keeps 95 % of known sounds, count as unknown. The
second best score and the distances alone were tried as further features and detected real unknown sounds no better.
`experiments.world.training.fit_unknown` fits the curve on classes removed from the encoder, and evaluates it.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from audiotoken.encoders.mini_network import FAMILIARITY as NAME
from audiotoken.encoders.mini_network import MiniNetwork
from audiotoken.errors import CheckpointError
from audiotoken.json_file import FormError, check_fields, read_json
from audiotoken.writing import encode_text, write_bytes

# Energy by which a separated sound may fall short of the threshold of an encoder that has none for such sounds. Chosen
# with one that had not heard them: of 95 sources, separated from others in rooms and dry, 9 % of those named rightly
# then count as unknown (33 % without it), and 25 % of the others (75 %).
ALLOWANCE = 1.6
FIELDS = {"slope": float, "offset": float, "threshold": float}


@dataclass(frozen=True)
class Familiarity:
    """How to read the energy of an encoder."""

    slope: float
    offset: float
    threshold: float  # of the energy; sounds below it count as unknown
    separated: float | None = None  # the threshold of sounds that were separated from others; None: not fitted

    def probability(self, energy: ArrayLike) -> NDArray[np.float64]:
        """(...) -> (...), the probability that a sound is known, if half of all sounds are."""
        return 1 / (1 + np.exp(-(self.slope * np.asarray(energy, float) + self.offset)))

    def knows(self, energy: float, separated: bool = False) -> bool:
        """Whether sounds of this energy count as known; those that were `separated` have a threshold of their own."""
        threshold = self.threshold
        if separated:
            threshold = threshold - ALLOWANCE if self.separated is None else self.separated
        return bool(energy >= threshold)

    def save(self, folder: str | os.PathLike) -> None:
        """Write to `folder`, as JSON."""
        known = {name: value for name, value in asdict(self).items() if value is not None}
        write_bytes(encode_text(json.dumps(known, indent=1) + "\n"), Path(folder) / NAME)


def load_familiarity(folder: str | os.PathLike) -> Familiarity | None:
    """Load the familiarity of the encoder in a folder; None if it has none."""
    path = Path(folder) / NAME
    if not path.is_file():
        return None
    try:
        values = read_json(path)
        check_fields(values, FIELDS, {"separated": float})
        return Familiarity(**values)
    except FormError as error:
        raise CheckpointError(f"Cannot read {path}: {error}; get the model again.") from None


@torch.no_grad()
def compute_energy(encoder: MiniNetwork, waveform: Tensor, without: int | None = None) -> float:
    """Energy of a waveform (1, frames) at the encoder's rate; `without` leaves out a class, as if it were unknown."""
    return energy_of(encoder.evidence(encoder.decibels(waveform))[0], without)


def energy_of(pooled: Tensor, without: int | None = None) -> float:
    """Energy of pooled scores (classes,)."""
    if without is not None:
        pooled = pooled[torch.arange(len(pooled)) != without]
    return float(torch.logsumexp(pooled, 0))
