"""Kaldi's log-mel filter banks (`compute-fbank-feats`), the front end of BEATs and of AST, in torch.

The settings that both share are fixed: windows of 25 ms every 10 ms, no padding at the ends, no dither, the mean of
each window removed, pre-emphasis, power spectra, mel bins from 20 Hz to half the rate. After Kaldi's feature-fbank.cc,
mel-computations.cc and feature-window.cc; `tests/reference/kaldi.safetensors` holds torchaudio's numbers.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

WINDOW_SECONDS, HOP_SECONDS = 0.025, 0.01
PREEMPHASIS = 0.97
LOWEST = 20.0  # Hz, where the first mel bin begins
FLOOR = torch.finfo(torch.float32).eps  # of the energies, before the logarithm


def fbank(
    waveform: Float[Tensor, " samples"], rate: int, bins: int, window: Float[Tensor, " width"]
) -> Float[Tensor, "frames {bins}"]:
    """Log-mel energies, one row for each complete window; no rows for a clip shorter than one.

    waveform: float32; Kaldi expects 16-bit scale, [-32768, 32767], which only shifts the result.
    rate: Hz. window: `window_width(rate)` samples, such as `povey` or `torch.hann_window(width, periodic=False)`.
    """
    width, hop = window_width(rate), int(rate * HOP_SECONDS)
    if window.shape != (width,):
        raise ValueError(f"Got a window of shape {tuple(window.shape)}, expected {width} samples: 25 ms at {rate} Hz.")
    if len(waveform) < width:
        return waveform.new_zeros(0, bins)
    frames = waveform.unfold(0, width, hop)  # (frames, width)
    frames = frames - frames.mean(dim=1, keepdim=True)
    before = F.pad(frames[None], (1, 0), mode="replicate")[0, :, :-1]  # the first sample is repeated
    frames = (frames - PREEMPHASIS * before) * window
    size = 1 << (width - 1).bit_length()  # the next power of two
    power = torch.fft.rfft(F.pad(frames, (0, size - width))).abs().square()  # (frames, size / 2 + 1)
    energies = power @ mel_filters(rate, bins, size).to(power.device).T
    return energies.clamp(min=FLOOR).log()


def window_width(rate: int) -> int:
    """Samples of a window at `rate` Hz."""
    return int(rate * WINDOW_SECONDS)


def povey(width: int) -> Float[Tensor, " {width}"]:
    """Kaldi's own window, between Hamming's and Hann's: Hann's to the power of 0.85."""
    return torch.hann_window(width, periodic=False).pow(0.85)


def mel_filters(rate: int, bins: int, size: int) -> Float[Tensor, "{bins} frequencies"]:
    """Triangles that are straight on the mel scale, over the `size` / 2 + 1 frequencies of a transform of `size`.

    The scale is 1127 ln(1 + f / 700), computed in float32 as Kaldi does.
    """
    low, high = (1127 * math.log(1 + f / 700) for f in (LOWEST, rate / 2))
    step = (high - low) / (bins + 1)
    number = torch.arange(bins)[:, None]
    left, centre, right = low + number * step, low + (number + 1.0) * step, low + (number + 2.0) * step
    mel = 1127 * (1 + rate / size * torch.arange(size // 2) / 700).log()  # (frequencies,) without the last
    triangles = torch.minimum((mel - left) / (centre - left), (right - mel) / (right - centre)).clamp(min=0)
    return F.pad(triangles, (0, 1))  # the last triangle ends at half the rate
