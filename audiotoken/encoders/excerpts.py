"""Short excerpts around each moment of a recording, for encoders that hear a clip as a whole."""

from torch import Tensor
from torch.nn import functional as F


def cut_excerpts(waveform: Tensor, step: int, size: int) -> Tensor:
    """(batch, frames) -> (batch, moments, size): `size` samples around each `step`; silence beyond both ends."""
    moments = -(-waveform.shape[1] // step)
    around = (size - step) // 2
    padded = F.pad(waveform, (around, around + moments * step - waveform.shape[1]))
    return padded.unfold(1, size, step)
