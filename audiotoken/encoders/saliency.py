"""When and at which frequencies a class is heard in a recording, from the gradients of the mini audio encoder.

Gradient times input, Shrikumar et al. (2017), on the mel spectrogram: the parts that raise the score of a class.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from audiotoken.encoders.mini_network import MiniNetwork, normalise

COLUMN = 0.010  # seconds between columns
SPREAD = 4.0, 2.0  # columns and mel bands over which an activity is smoothed


def compute_activities(encoder: MiniNetwork, waveform: Tensor, classes: Sequence[int]) -> NDArray[np.float32]:
    """(1, frames) at the encoder's rate -> (classes, columns, mels) in [0, 1], 1 where each class is clearest."""
    with torch.no_grad():
        decibels = encoder.decibels(waveform)
    with torch.enable_grad():
        inputs = normalise(decibels).requires_grad_(True)  # (1, columns, mels)
        scores = encoder.pool(encoder.score(encoder.embed(inputs)).float())[0]
        gradients = [torch.autograd.grad(scores[index], inputs, retain_graph=True)[0] for index in classes]
    raised = [(gradient * inputs).detach()[0].clamp(min=0).float().cpu().numpy() for gradient in gradients]
    smooth = [gaussian_filter(each, SPREAD) for each in raised]
    return np.stack([each / max(float(each.max()), 1e-12) for each in smooth])


def list_columns(encoder: MiniNetwork, columns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(seconds of the middle of each column, centre of each mel band in Hz)."""
    mels = encoder.spectrogram.triangles.shape[1]
    low, high = (1127.0 * np.log1p(hertz / 700.0) for hertz in (20.0, encoder.rate / 2))
    centres = 700.0 * np.expm1(np.linspace(low, high, mels + 2)[1:-1] / 1127.0)
    return COLUMN * np.arange(columns, dtype=np.float64) + encoder.spectrogram.length / 2 / encoder.rate, centres
