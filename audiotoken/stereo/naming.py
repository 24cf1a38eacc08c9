"""Labels for signals, by the audio encoder of a model, or "not sure"."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiotoken.audio import resample
from audiotoken.encoders import AudioEncoder
from audiotoken.encoders.load import has_encoder, load_encoder
from audiotoken.encoders.mini import MiniEncoder
from audiotoken.errors import CheckpointError
from audiotoken.labels import LIKELY
from audiotoken.loading import explain_load_errors, find_model
from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.labelled_scene import Label
from audiotoken.unknown import Familiarity, compute_energy, load_familiarity

Signal = NDArray[np.float32]
Labeller = Callable[[Signal, int], Label | None]

SILENT = 1e-6  # signals that never get louder get no label


def make_labeller(model: str = "mini", among: Sequence[str] | None = None) -> Labeller:
    """Return a function that labels a signal (frames,) at a rate in Hz.

    The labels are those of the model's encoder, or only those in `among`. The function returns None for silence and if
    the encoder has no labels. Raises CheckpointError if the model has no audio encoder.
    """
    encoder, familiarity = _load_encoder_of(model)

    @torch.no_grad()
    def label_signal(signal: Signal, rate: int) -> Label | None:
        if not encoder.labels or np.abs(signal).max(initial=0) < SILENT:
            return None
        waveform = _to_waveform(encoder, signal, rate)
        scores = encoder.probabilities(waveform)[0].numpy()
        allowed = [label in among for label in encoder.labels] if among else True
        best = int(np.argmax(np.where(allowed, scores, -1.0)))
        known = _is_known(encoder, familiarity, waveform, scores[best])
        return Label(encoder.labels[best], float(scores[best]), known)

    return label_signal


def knows(pipe: SoundPipeline, signal: Signal, rate: int, score: float) -> bool:
    """Whether the encoder of a pipeline knows sounds like this signal, whose best label has the given score."""
    encoder = pipe.audio_encoder
    if encoder is None or np.abs(signal).max(initial=0) < SILENT:
        return False
    folder = getattr(getattr(encoder, "config", None), "_name_or_path", None)
    familiarity = load_familiarity(folder) if folder else None
    return _is_known(encoder, familiarity, _to_waveform(encoder, signal, rate), score)


def _is_known(encoder: AudioEncoder, familiarity: Familiarity | None, waveform: Tensor, score: float) -> bool:
    """Decide by the energy of the encoder where that was fitted, otherwise by its best score."""
    if familiarity is None or not isinstance(encoder, MiniEncoder):
        return bool(score >= LIKELY)
    return familiarity.knows(compute_energy(encoder, waveform))


def _to_waveform(encoder: AudioEncoder, signal: Signal, rate: int) -> Tensor:
    """(1, frames) at the encoder's rate, with the peak level that the familiarity was fitted on."""
    loud = (signal / np.abs(signal).max() * 0.5).astype(np.float32)
    return torch.from_numpy(resample(loud[None], rate, encoder.rate)).to(encoder.device)


def _load_encoder_of(model: str) -> tuple[AudioEncoder, Familiarity | None]:
    """(the audio encoder of a model, how to read its energy); raises CheckpointError if there is no encoder."""
    folder = find_model(model)
    with explain_load_errors(model):
        if not Path(folder).is_dir():
            raise CheckpointError("it is not a local folder; give mini or a folder made by `audiotoken assemble`")
        if not has_encoder(folder):
            raise CheckpointError("it has no audio encoder; give --model mini, or --no-labels.")
        encoder = load_encoder(folder)
    return encoder, load_familiarity(Path(folder) / "audio_encoder")
