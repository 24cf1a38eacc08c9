"""Wav2CLIP (Wu et al. 2022, arXiv 2110.11499) as a judge: embeddings of sounds in the space of CLIP.

A ResNet-18 on the log power spectrogram, and an MLP from its features to CLIP's image embedding (ViT-B/32, 512 wide, in
the published weights). "mini" is a narrower one for the CLIP of the painted world. The published file is `Wav2CLIP.pt`
from the releases of github.com/descriptinc/lyrebird-wav2clip; only its tensors under `audio_encoder.` and
`audio_transform.` are read, and no code. Clips are 16 kHz mono.
"""

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from audiotoken.checkpoint import load_weights, read_checkpoint
from audiotoken.encoders import check_waveform
from audiotoken.errors import CheckpointError
from audiotoken.loading import explain_load_errors

RATE = 16_000
WINDOW, HOP = 512, 353  # samples: a column every 22 ms, 227 in the 5 s it was trained on
MIN_FRAMES = WINDOW  # shorter clips are padded with silence
UNUSED = ("audio_encoder.fc.", "audio_encoder.spectrogram.", "image_transform.", "loss_fn")
WANTED = '"mini", a folder, or the published Wav2CLIP.pt'


class Block(nn.Module):
    """Basic block of a ResNet, He et al. (2016); the names are those of torchvision, as in the file."""

    def __init__(self, takes: int, gives: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(takes, gives, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(gives)
        self.conv2 = nn.Conv2d(gives, gives, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(gives)
        self.downsample: nn.Module | None = None
        if stride != 1 or takes != gives:
            self.downsample = nn.Sequential(nn.Conv2d(takes, gives, 1, stride, bias=False), nn.BatchNorm2d(gives))

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(residual + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    """(batch, 1, bins, columns) -> (batch, 8 * width), averaged over both axes."""

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        for number in range(4):
            gives, takes = width * 2**number, width * 2 ** max(0, number - 1)
            stage = nn.Sequential(Block(takes, gives, 1 if number == 0 else 2), Block(gives, gives, 1))
            self.add_module(f"layer{number + 1}", stage)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for number in range(1, 5):
            x = getattr(self, f"layer{number}")(x)
        return x.mean((2, 3))


class Projection(nn.Module):
    """Two linear layers with ReLU and dropout between them."""

    def __init__(self, units: Sequence[int], dropout: float = 0.1):
        super().__init__()
        first, middle, last = units
        self.sequential = nn.Sequential(
            nn.Linear(first, middle), nn.ReLU(), nn.Dropout(dropout), nn.Linear(middle, last)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.sequential(x)


class Wav2CLIP(ModelMixin, ConfigMixin):
    """Waveform (batch, frames) at 16 kHz in [-1, 1] -> embeddings (batch, units[2]), not normalised.

    `width` is that of the first stage, `units` are those of the MLP; 64 and (512, 512, 512) are published.
    """

    @register_to_config
    def __init__(self, width: int = 64, units: Sequence[int] = (512, 512, 512)):
        super().__init__()
        if units[0] != 8 * width:
            raise ValueError(
                f"Got an MLP with input width {units[0]}, expected {8 * width}, eight times the width; change one of "
                "them."
            )
        self.audio_encoder = ResNet18(width)
        self.audio_transform = Projection(units)

    @property
    def rate(self) -> int:
        return RATE

    @property
    def embedding_width(self) -> int:
        return int(self.config["units"][-1])

    def forward(self, waveform: Tensor) -> Tensor:
        check_waveform(waveform, "Wav2CLIP", RATE)
        return self.audio_transform(self.audio_encoder(spectrogram(waveform)))

    @torch.no_grad()
    def embed(self, signals: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Mono signals (frames,) at 16 kHz, of any lengths -> (clips, width) of length 1."""
        embeddings = [np.empty((0, self.embedding_width), np.float32)]
        for signal in signals:  # one by one: they differ in length
            waveform = torch.from_numpy(np.ascontiguousarray(signal, np.float32))[None].to(self.device)
            embeddings.append(F.normalize(self(waveform).float(), dim=-1).cpu().numpy())
        return np.concatenate(embeddings)


def spectrogram(waveform: Tensor) -> Tensor:
    """(batch, frames) -> log power (batch, 1, 257, columns), normalised to mean 0 and standard deviation 1 per clip.

    The published code normalises over the whole batch, so that an embedding depends on the other clips; for single
    clips both are the same.
    """
    short = MIN_FRAMES - waveform.shape[1]
    waveform = F.pad(waveform, (0, short)) if short > 0 else waveform
    window = torch.hann_window(WINDOW, device=waveform.device, dtype=waveform.dtype)
    spectrum = torch.stft(waveform, WINDOW, HOP, window=window, pad_mode="reflect", return_complex=True)
    levels = torch.log(spectrum.abs().square() + 1e-7)[:, None]
    mean, deviation = levels.mean((1, 2, 3), keepdim=True), levels.std((1, 2, 3), keepdim=True)
    return (levels - mean) / (deviation + 1e-9)


def load_wav2clip(model: str | os.PathLike = "mini", device: str | torch.device = "cpu") -> Wav2CLIP:
    """Load a Wav2CLIP; raises CheckpointError if it is none of `WANTED` or does not fit."""
    if Path(model).suffix.lower() in (".pt", ".pth", ".ckpt", ".bin"):
        return _load_published(Path(os.path.expanduser(model))).to(device)
    folder = (
        Path(str(files("audiotoken.mini"))) / "wav2clip" if str(model) == "mini" else Path(os.path.expanduser(model))
    )
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"Cannot load {model}: there is no Wav2CLIP in {folder}; pass {WANTED}.")
    with explain_load_errors(model):
        return Wav2CLIP.from_pretrained(folder, torch_dtype=torch.float32).eval().to(device)


def _load_published(file: Path) -> Wav2CLIP:
    """Load `Wav2CLIP.pt`; its sizes follow from the weights."""
    content = read_checkpoint(file, WANTED)
    weights: Any = content.get("state_dict", content) if isinstance(content, dict) else {}
    used = {name: value for name, value in weights.items() if not str(name).startswith(UNUSED)}
    names = ("audio_encoder.conv1.weight", *(f"audio_transform.sequential.{i}.weight" for i in (0, 3)))
    first, *layers = [tuple(getattr(used.get(name), "shape", ())) for name in names]
    if len(first) != 4 or any(len(layer) != 2 for layer in layers) or layers[0][1] != 8 * first[0]:
        raise CheckpointError(f"Cannot load {file}: it holds no ResNet-18 with an MLP behind it; pass {WANTED}.")
    model = Wav2CLIP(first[0], (layers[0][1], layers[0][0], layers[1][0]))
    load_weights(model, used, file, WANTED)
    return model.eval()
