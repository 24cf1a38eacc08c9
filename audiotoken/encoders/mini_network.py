"""The network of the mini audio encoder: a small convolutional one on log-mel spectrograms, with a score per class.

A recording of any length goes through once. The network is convolutional along time, so every 0.16 s of it has its
own feature vector and its own class scores; the scores are pooled over overlapping windows and the windows are averaged
by how loud they are, so that silence around a bark does not count. Scores are independent per class: all low means
"none of these". A window whose features are far from a class's training features loses score for it, because a network
alone is overconfident on unknown sounds (Lee et al. 2018). It is trained by
`experiments/world/training/train_audio.py`. Nothing of diffusers is imported here, so that listening does not wait for
it; `audiotoken.encoders.mini` is the same network as a part of a diffusers pipeline.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from audiotoken.encoders.mobile_trunk import Rebanded, build_mobile_trunk
from audiotoken.json_file import read_json

FLOOR = 80.0  # dB below the loudest moment at which the spectrogram is cut off
WEIGHTS = "diffusion_pytorch_model.safetensors"  # as diffusers names them
QUIET = -65.0  # dB of full scale; recordings that never exceed it have all scores 0
FAMILIARITY = "unknown.json"  # beside the weights: see `audiotoken.unknown`
BLOCK = 16  # spectrogram frames per feature vector, the network's stride along time


class MelSpectrogram(nn.Module):
    """Waveform (batch, frames) in [-1, 1] -> mel band power in dB (batch, time, mels), one column per 10 ms.

    25 ms Hann windows; triangles equally wide on the mel scale 1127 ln(1 + f / 700), as in Kaldi and BEATs. A sine at
    full scale is near 0 dB. Always float32: half precision cannot hold the range of power.
    """

    window: Tensor
    triangles: Tensor

    def __init__(self, rate: int, mels: int, low: float = 20.0):
        super().__init__()
        self.length, self.hop = round(0.025 * rate), round(0.010 * rate)
        self.points = 2 ** math.ceil(math.log2(self.length))
        window = torch.hann_window(self.length, dtype=torch.float64)
        self.register_buffer("window", (2 * window / window.sum()).float(), persistent=False)
        edges = torch.linspace(self._mel(low), self._mel(rate / 2), mels + 2, dtype=torch.float64)
        bins = torch.tensor(
            [self._mel(k * rate / self.points) for k in range(self.points // 2 + 1)], dtype=torch.float64
        )
        rise = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
        fall = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
        self.register_buffer("triangles", torch.minimum(rise, fall).clamp(min=0).float(), persistent=False)

    @staticmethod
    def _mel(hertz: float) -> float:
        return 1127.0 * math.log1p(hertz / 700.0)

    def forward(self, waveform: Tensor) -> Tensor:
        frames = waveform.float().unfold(-1, self.length, self.hop) * self.window.float()  # (batch, time, length)
        power = torch.fft.rfft(frames, n=self.points).abs().square()
        return 10 * torch.log10(power @ self.triangles.float() + 1e-10)


def normalise(decibels: Tensor) -> Tensor:
    """Spectrogram in dB (batch, time, mels) -> the network's input: relative to the loudest moment, about [-2, 2]."""
    return (decibels - loudness(decibels).amax(1)[:, None, None]).clamp(min=-FLOOR) / 20.0 + 2.0


def loudness(decibels: Tensor) -> Tensor:
    """Level of each column of a spectrogram in dB: (batch, time, mels) -> (batch, time) dB."""
    return 10 * torch.log10((10 ** (decibels / 10)).mean(-1))


def _conv(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs), nn.ReLU()]


def _build_plain_trunk(channels: Sequence[int]) -> nn.Sequential:
    a, b, c, d, e = channels
    layers = [*_conv(1, a, 5, 2), nn.MaxPool2d(2), *_conv(a, b), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, *_conv(b, c), *_conv(c, d), nn.MaxPool2d(2), *_conv(d, e))


class Branch(nn.Module):
    """Normalised spectrogram (batch, columns, mels) -> features (batch, time, width). last: channels of the trunk."""

    def __init__(self, trunk: nn.Sequential, last: int, width: int):
        super().__init__()
        self.trunk = trunk
        self.project = nn.Sequential(nn.Conv1d(2 * last, width, 1, bias=False), nn.BatchNorm1d(width), nn.ReLU())
        self.context = nn.Conv1d(width, width, 5, padding=2, groups=width)

    def embed_alone(self, spectrogram: Tensor) -> Tensor:
        x = self.trunk(spectrogram.to(self.context.weight.dtype)[:, None])  # (batch, channels, time, bands)
        x = self.project(torch.cat([x.mean(-1), x.amax(-1)], 1))
        return (x + F.relu(self.context(x))).transpose(1, 2)


class MiniNetwork(Branch):
    """An AudioEncoder; see `audiotoken.encoders` for the protocol.

    labels: names of the classes. rate: Hz. width: of the features. channels: of the five convolutions. mobile: of those
    of a second branch (`audiotoken.encoders.mobile_trunk`): its features, as wide, count for the scores, and embedders
    do not see them. If one of the two is empty, there is only the other branch. Calibration is part of the weights:
    `scale` and `offset` (classes,) turn pooled scores into probabilities, `whitening` and `centres` (some per class,
    `origins`: of real sounds, synthesised ones, and those in rooms) measure how strange a window is.
    """

    scale: Tensor
    offset: Tensor
    whitening: Tensor
    centres: Tensor

    def __init__(
        self,
        labels: Sequence[str],
        rate: int,
        width: int,
        mels: int,
        channels: Sequence[int],
        window: int,  # feature vectors per pooling window: 2.56 s, about the crop length of training
        origins: int,
        mobile: Sequence[int] = (),
    ):
        spectrogram = MelSpectrogram(rate, mels)
        trunks = [(_build_plain_trunk(channels), channels[-1])] if channels else []
        if mobile:
            rebanded = Rebanded(spectrogram.triangles, rate, spectrogram.length / 4)
            trunks.append((build_mobile_trunk(mobile, rebanded), mobile[-1]))
        super().__init__(*trunks[0], width)
        self._labels, self._rate, self._width, self._window = tuple(labels), rate, width, window
        self.spectrogram = spectrogram
        self.second = Branch(*trunks[1], width) if len(trunks) == 2 else None
        depth = width * len(trunks)
        self.head = nn.Linear(depth, len(labels))
        self.sharpness = nn.Parameter(torch.ones(len(labels)))  # of the pooling over time: 0 mean, large maximum
        self.register_buffer("scale", torch.ones(len(labels)))
        self.register_buffer("offset", torch.zeros(len(labels)))
        self.register_buffer("whitening", torch.zeros(depth, depth))  # zero: nothing is strange
        self.register_buffer("centres", torch.zeros(len(labels), origins, depth))

    @property
    def labels(self) -> tuple[str, ...]:
        return self._labels

    @property
    def rate(self) -> int:
        return self._rate

    @property
    def width(self) -> int:
        return self._width

    @property
    def depth(self) -> int:
        """Width of the features of all branches together."""
        return self.head.in_features

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.head.weight.device

    def features(self, waveform: Tensor) -> Tensor:
        """(batch, frames) at `rate` -> (batch, time, width), one vector per 0.16 s."""
        return self.embed_alone(normalise(self.decibels(waveform)))

    def probabilities(self, waveform: Tensor) -> Tensor:
        """(batch, frames) at `rate` -> (batch, classes) in [0, 1], calibrated, independent per class."""
        return self.probabilities_of(self.decibels(waveform))

    def probabilities_of(self, decibels: Tensor) -> Tensor:
        """The same for a spectrogram in dB (batch, columns, mels)."""
        return self.calibrate(self.evidence(decibels), decibels)

    def calibrate(self, evidence: Tensor, decibels: Tensor) -> Tensor:
        """The probabilities (batch, classes) of a spectrogram in dB whose scores are `evidence`."""
        audible = loudness(decibels).amax(1) > QUIET
        return torch.sigmoid(evidence * self.scale.float() + self.offset.float()) * audible[:, None]

    def evidence(self, decibels: Tensor) -> Tensor:
        """Scores (batch, classes) of a spectrogram in dB, less what is strange about it, before calibration."""
        scores, means, weight, _ = self.windows_of(decibels)
        return ((scores - self.strangeness(means)) * weight[..., None]).sum(1)

    def windows(self, waveform: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Scores and features of overlapping windows of 2.56 s, before calibration, all float32.

        Returns scores (batch, windows, classes), mean features (batch, windows, depth), weights (batch, windows) that
        sum to one (loud windows count, those 25 dB below do not), and whether there is any sound at all (batch,).
        """
        return self.windows_of(self.decibels(waveform))

    def windows_of(self, decibels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The same for a spectrogram in dB (batch, columns, mels)."""
        features = self.embed(normalise(decibels))
        level = loudness(decibels)
        blocks = F.max_pool1d(level[:, None], BLOCK, ceil_mode=True)[:, 0, : features.shape[1]]
        size = min(self._window, features.shape[1])
        step = max(1, size // 4)
        scores = self.pool(self.score(features).float().unfold(1, size, step).transpose(2, 3))
        means = features.float().unfold(1, size, step).mean(-1)
        loudest = blocks.unfold(1, size, step).amax(-1)
        weight = (loudest - loudest.amax(1, keepdim=True) + 25.0).clamp(min=0)
        return scores, means, weight / weight.sum(1, keepdim=True), level.amax(1) > QUIET

    def strangeness(self, means: Tensor) -> Tensor:
        """Penalty for sounds unlike those of a class in training: (batch, windows, depth) -> (batch, windows, classes).

        It is the squared Mahalanobis distance of the square roots of the mean features to the nearest of the centres
        of a class, in score units; zero in a model that is not calibrated.
        """
        at = means.clamp(min=0).sqrt() @ self.whitening.float()
        gaps = at[:, :, None, None] - self.centres.float()  # (batch, windows, classes, origins, depth)
        return gaps.square().sum(-1).amin(-1)

    def embed(self, spectrogram: Tensor) -> Tensor:
        """Normalised spectrogram (batch, columns, mels) -> features of all branches (batch, time, `depth`)."""
        first = self.embed_alone(spectrogram)
        return first if self.second is None else torch.cat([first, self.second.embed_alone(spectrogram)], -1)

    def score(self, features: Tensor) -> Tensor:
        """Features (batch, time, depth) -> class scores (batch, time, classes), before pooling and calibration."""
        return self.head(features)

    def pool(self, scores: Tensor) -> Tensor:
        """Auto-pooling over time, McFee et al. (2018): (batch, time, classes) -> (batch, classes)."""
        weight = torch.softmax(scores * self.sharpness.to(scores.dtype), -2)
        return (weight * scores).sum(-2)

    def decibels(self, waveform: Tensor) -> Tensor:
        """Spectrogram of a checked waveform; one shorter than half a second is padded with silence."""
        if waveform.ndim != 2:
            raise ValueError(
                f"expected a waveform (batch, frames), got shape {tuple(waveform.shape)}; add or remove axes"
            )
        if not torch.isfinite(waveform).all():
            raise ValueError("the waveform holds NaN or infinity; clean it before encoding")
        short = self.rate // 2 - waveform.shape[1]
        return self.spectrogram(F.pad(waveform, (0, short)) if short > 0 else waveform)


def load_network(folder: str | os.PathLike) -> MiniNetwork:
    """The network of a folder that `MiniEncoder.save_pretrained` wrote, float32 and ready for inference."""
    config = read_json(Path(folder) / "config.json")
    network = MiniNetwork(**{key: value for key, value in config.items() if not key.startswith("_")})
    network.load_state_dict(load_file(Path(folder) / WEIGHTS))
    return network.float().eval()
