"""What a signal sounds like, to the audio encoder of a model, with "not sure"."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.listening import Label

Namer = Callable[[np.ndarray, int], Label | None]

SILENT = 1e-6  # a signal that never gets louder is not worth a name


def namer(model: str = "mini", among: Sequence[str] | None = None) -> Namer:
    """The function that names a signal (frames,) at a rate, by one of the encoder's labels or of some of them."""
    import torch

    from audiotoken.audio import resample
    from audiotoken.ears import HEARD
    from audiotoken.unknown import energy_of

    encoder, familiarity = load_encoder(model)

    @torch.no_grad()
    def name(signal: np.ndarray, rate: int) -> Label | None:
        peak = float(np.abs(signal).max(initial=0))
        if not encoder.labels or peak < SILENT:
            return None
        waveform = resample((signal / peak * 0.5).astype(np.float32)[None], rate, encoder.rate)
        scores = encoder.probabilities(torch.from_numpy(waveform))[0].numpy()
        allowed = [label in among for label in encoder.labels] if among else True
        best = int(np.argmax(np.where(allowed, scores, -1.0)))
        sure = bool(scores[best] >= HEARD)
        if familiarity is not None:
            sure = familiarity.knows(energy_of(encoder, torch.from_numpy(waveform)))
        return Label(encoder.labels[best], float(scores[best]), sure)

    return name


def load_encoder(model: str) -> tuple[Any, Any]:
    """The audio encoder of a model and nothing else of it, and what its energy means, if that was fitted.

    CheckpointError when there is none.
    """
    import json
    from importlib import import_module

    from audiotoken.checkpoint import CheckpointError
    from audiotoken.loading import OWN_ENCODERS, find_model, loading
    from audiotoken.unknown import load_familiarity

    folder = find_model(model)
    with loading(model):
        if not Path(folder).is_dir():
            raise CheckpointError("it is not a folder here; give mini or a folder made by `audiotoken assemble`")
        index = json.loads((Path(folder) / "model_index.json").read_text())
        library, kind = index.get("audio_encoder") or (None, None)
        if library not in OWN_ENCODERS:
            raise CheckpointError("it has no audio encoder; give --model mini, or --no-labels.")
        encoder = getattr(import_module(library), str(kind)).from_pretrained(folder, subfolder="audio_encoder")
    return encoder.eval(), load_familiarity(Path(folder) / "audio_encoder")
