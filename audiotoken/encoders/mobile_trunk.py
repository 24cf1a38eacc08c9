"""Depthwise separable convolutions on a log-mel spectrogram: MobileNet, Howard et al. (2017), as YAMNet uses it.

The shapes and the input are those of YAMNet's first layers, so that its weights can be the start of a training
(`experiments.world.training.yamnet` reads them). It hears 64 bands of the magnitude from 125 to 7500 Hz, of sounds at
their own level; the mini encoder gives 128 bands of power relative to the loudest moment. `Rebanded` is between them.
"""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BANDS, LOW, HIGH = 64, 125.0, 7500.0  # Hz
LEVEL = -6.0  # dB of full scale at which the loudest moment is heard
LEAST = 0.001  # added to the magnitude before its logarithm
EPSILON = 1e-4  # of the batch normalisation


def make_triangles(edges: Tensor, bins: Tensor) -> Tensor:
    """Triangular filters (bins, bands), each 1 at the middle one of three consecutive of the (bands + 2) edges."""
    rise = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return torch.minimum(rise, fall).clamp(min=0)


class Rebanded(nn.Module):
    """The mini encoder's input (batch, 1, columns, mels) -> log magnitude in 64 bands (batch, 1, columns, 64).

    triangles: (bins, mels) of the spectrogram; rate: Hz; gain: of a sine's amplitude in the magnitude of its bin, half
    the sum of the window. The power of each bin is a mean of that in the bands that hold it. An odd number of
    columns is made even, so that halving gives as many as the plain trunk does.
    """

    spread: Tensor
    gather: Tensor

    def __init__(self, triangles: Tensor, rate: int, gain: float):
        super().__init__()
        weights = triangles.double()
        spread = weights / weights.sum(0).clamp(min=1e-6) / weights.sum(1, keepdim=True).clamp(min=1e-6)
        hertz = torch.linspace(0, rate / 2, len(weights), dtype=torch.float64)
        edges = torch.linspace(math.log1p(LOW / 700), math.log1p(HIGH / 700), BANDS + 2, dtype=torch.float64)
        self.register_buffer("spread", spread.T.float(), persistent=False)
        gather = gain * 10 ** (LEVEL / 20) * make_triangles(edges, (hertz / 700).log1p())
        self.register_buffer("gather", gather.float(), persistent=False)

    def forward(self, spectrogram: Tensor) -> Tensor:
        power = 10 ** (2 * (spectrogram.float() - 2))  # see `normalise`; half precision cannot hold its range
        magnitude = (power @ self.spread.float() + 1e-12).sqrt() @ self.gather.float()
        bands = torch.log(magnitude + LEAST)
        return F.pad(bands, (0, 0, 0, bands.shape[-2] % 2), mode="replicate").to(spectrogram.dtype)


class Halving(nn.Conv2d):
    """A convolution of size 3 and stride 2 that gives half of its input's columns and bands, rounded down."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)))


def _conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    kind, padding = (Halving, 0) if stride == 2 else (nn.Conv2d, size // 2)
    conv = kind(inputs, outputs, size, stride, padding, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs, eps=EPSILON), nn.ReLU()]


def build_mobile_trunk(channels: Sequence[int], rebanded: Rebanded) -> nn.Sequential:
    """A convolution and separable ones with so many channels: (batch, 1, columns, mels) -> (batch, c, time, bands).

    The first halves the columns and the bands, and so does each second one of the next six.
    """
    layers: list[nn.Module] = [rebanded, nn.Sequential(*_conv(1, channels[0], 3, 2))]
    for number, (inputs, outputs) in enumerate(itertools.pairwise(channels)):
        stride = 2 if number in (1, 3, 5) else 1
        layers.append(nn.Sequential(*_conv(inputs, inputs, 3, stride, inputs), *_conv(inputs, outputs, 1)))
    return nn.Sequential(*layers)
