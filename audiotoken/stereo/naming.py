"""What a signal sounds like, to the audio encoder of a model, with "not sure"."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audiotoken.audio import resample
from audiotoken.encoders import AudioEncoder
from audiotoken.encoders.load import has_encoder, load_encoder
from audiotoken.errors import CheckpointError
from audiotoken.labels import LIKELY
from audiotoken.loading import explain_load_errors, find_model
from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.labelled_scene import Label
from audiotoken.unknown import Familiarity, compute_energy, load_familiarity

Labeller = Callable[[np.ndarray, int], Label | None]

SILENT = 1e-6  # a signal that never gets louder is not worth a name


def make_labeller(model: str = "mini", among: Sequence[str] | None = None) -> Labeller:
    """The function that names a signal (frames,) at a rate, by one of the encoder's labels or of some of them."""
    import torch

    encoder, familiarity = _load_encoder_of(model)

    @torch.no_grad()
    def name(signal: np.ndarray, rate: int) -> Label | None:
        if not encoder.labels or np.abs(signal).max(initial=0) < SILENT:
            return None
        waveform = _waveform(encoder, signal, rate)
        scores = encoder.probabilities(waveform)[0].numpy()
        allowed = [label in among for label in encoder.labels] if among else True
        best = int(np.argmax(np.where(allowed, scores, -1.0)))
        return Label(encoder.labels[best], float(scores[best]), _knows(encoder, familiarity, waveform, scores[best]))

    return name


def knows(pipe: SoundPipeline, signal: np.ndarray, rate: int, score: float) -> bool:
    """Is a signal, whose best label has that score, a sound that the encoder of a pipeline knows?"""
    if np.abs(signal).max(initial=0) < SILENT:
        return False
    folder = getattr(getattr(pipe.audio_encoder, "config", None), "_name_or_path", None)
    waveform = _waveform(pipe.audio_encoder, signal, rate)
    return _knows(pipe.audio_encoder, load_familiarity(folder) if folder else None, waveform, score)


def _knows(encoder: Any, familiarity: Any, waveform: Any, score: float) -> bool:
    """By what was fitted to the encoder's energy, else by its best score."""
    if familiarity is None:
        return bool(score >= LIKELY)
    return familiarity.knows(compute_energy(encoder, waveform))


def _waveform(encoder: Any, signal: np.ndarray, rate: int) -> Any:
    """(1, frames) at the encoder's rate, as loud as what it was fitted on."""
    import torch

    loud = (signal / np.abs(signal).max() * 0.5).astype(np.float32)
    return torch.from_numpy(resample(loud[None], rate, encoder.rate)).to(encoder.device)


def _load_encoder_of(model: str) -> tuple[AudioEncoder, Familiarity | None]:
    """The audio encoder of a model and nothing else of it, and what its energy means, if that was fitted.

    CheckpointError when there is none.
    """
    folder = find_model(model)
    with explain_load_errors(model):
        if not Path(folder).is_dir():
            raise CheckpointError("it is not a folder here; give mini or a folder made by `audiotoken assemble`")
        if not has_encoder(folder):
            raise CheckpointError("it has no audio encoder; give --model mini, or --no-labels.")
        encoder = load_encoder(folder)
    return encoder, load_familiarity(Path(folder) / "audio_encoder")
