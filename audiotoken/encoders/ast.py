"""AST (Gong et al. 2021, arXiv 2104.01778) as an audio encoder: transformers' model with a front end.

The hub id is "MIT/ast-finetuned-audioset-10-10-0.4593"; folders that `save_pretrained` of either class wrote load too.
A log-mel spectrogram of 10.24 s is cut into overlapping 16x16 patches, for a transformer with learnt positions.
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    ASTForAudioClassification,
    PreTrainedModel,  # noqa: F401  # diffusers asks the module of a pipeline's part for this name
)

from audiotoken.encoders import check_waveform
from audiotoken.encoders.hub import LayeredASTConfig, load_complete, split_evenly
from audiotoken.encoders.kaldi import fbank
from audiotoken.errors import CheckpointError

RATE = 16_000
WINDOW, HOP = 400, 160  # samples: 25 ms and 10 ms
MEAN, DEVIATION = -4.2677393, 4.5689974  # of the log-mel values of AudioSet, from the published front end
WANTED = 'an AST with a class head, such as "MIT/ast-finetuned-audioset-10-10-0.4593" or a folder it was saved in'


class AST(ASTForAudioClassification):
    """An `AudioEncoder`: 16 kHz mono in [-1, 1] -> features of the chosen `layers`, concatenated; class scores.

    Features are patches only, without the two summary tokens: time runs over patches, 12 (low to high) for each
    100 ms, of the sound and not of the padding behind it. They are taken as the blocks give them, before the last norm.
    """

    config_class = LayeredASTConfig
    rate = RATE

    def __init__(self, config: LayeredASTConfig):
        super().__init__(config)
        depth, layers = config.num_hidden_layers, config.layers
        if not layers or not all(isinstance(layer, int) and 1 <= layer <= depth for layer in layers):
            raise CheckpointError(
                f"Got layers={tuple(layers)}, but this AST has layers 1 to {depth}; choose among these."
            )

    @property
    def width(self) -> int:
        return len(self.config.layers) * self.config.hidden_size

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.config.id2label[i] for i in range(self.config.num_labels))

    def features(self, waveform: Tensor) -> Float[Tensor, "batch time width"]:
        """(batch, frames) -> (batch, time, width): the outputs of the chosen layers side by side."""
        features = []
        for piece in self._split(waveform):
            mel = log_mel(piece, self.config.num_mel_bins)
            states = self(
                self._pad_and_normalise(mel), output_hidden_states=True
            ).hidden_states  # (batch, 2 + patches, hidden)
            chosen = torch.cat([states[layer][:, 2:] for layer in self.config.layers], dim=-1)
            features.append(self._order_by_time(chosen, mel.shape[1]))
        return torch.cat(features, dim=1)

    def probabilities(self, waveform: Tensor) -> Float[Tensor, "batch classes"]:
        """(batch, frames) -> (batch, classes) in [0, 1], one independent score per class.

        A long clip takes its highest score over pieces, so that one bark in a minute of rain is not averaged away.
        """
        scores = [
            self(self._pad_and_normalise(log_mel(piece, self.config.num_mel_bins))).logits
            for piece in self._split(waveform)
        ]
        return torch.stack(scores).amax(dim=0).sigmoid()

    def _split(self, waveform: Tensor) -> tuple[Tensor, ...]:
        check_waveform(waveform, "AST", RATE)
        return split_evenly(waveform, WINDOW + (self.config.max_length - 1) * HOP)

    def _pad_and_normalise(self, mel: Float[Tensor, "batch frames mels"]) -> Float[Tensor, "batch max_length mels"]:
        """As published: pad with zeros at the end, then normalise."""
        mel = F.pad(mel, (0, 0, 0, self.config.max_length - mel.shape[1]))
        return ((mel - MEAN) / (2 * DEVIATION)).to(self.dtype)

    def _order_by_time(self, patches: Tensor, frames: int) -> Float[Tensor, "batch time width"]:
        """(batch, bands x times, width), band by band -> time by time; only those within the sound, at least one."""
        bands, times = self.audio_spectrogram_transformer.embeddings.get_shape(self.config)
        steps = max(1, (frames - self.config.patch_size) // self.config.time_stride + 1)
        return patches.unflatten(1, (bands, times)).transpose(1, 2)[:, :steps].flatten(1, 2)

    @classmethod
    def from_pretrained(cls, model: str | os.PathLike, *, layers: Sequence[int] | None = None, **kwargs: Any) -> "AST":
        """The encoder of a hub id or folder, ready for inference; `layers` are the saved ones, or (4, 8, 12).

        CheckpointError, one sentence, when it cannot be loaded or is not an AST with a class head.
        """
        if layers is not None:
            kwargs["layers"] = tuple(layers)
        return load_complete(super().from_pretrained, model, (LayeredASTConfig.model_type,), WANTED, **kwargs)


def log_mel(waveform: Float[Tensor, "batch samples"], mels: int = 128) -> Float[Tensor, "batch frames {mels}"]:
    """16 kHz -> Kaldi's log-mel filter banks under a Hann window, not yet normalised, a frame each 10 ms.

    Computed in float32 for any input; a clip shorter than one window (25 ms) is padded with silence.
    """
    waveform = F.pad(waveform.float(), (0, max(0, WINDOW - waveform.shape[1])))
    hann = torch.hann_window(WINDOW, periodic=False, device=waveform.device)
    return torch.stack([fbank(one, RATE, mels, hann) for one in waveform])
