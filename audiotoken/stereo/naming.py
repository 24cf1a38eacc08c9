"""Labels for signals, by the audio encoder of a model, or "not sure"."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiotoken.audio import resample
from audiotoken.encoders import AudioEncoder, AudioTextEncoder
from audiotoken.encoders.load import CLASSES, has_encoder, load_encoder, load_encoder_to_hear
from audiotoken.encoders.mini_network import MiniNetwork
from audiotoken.errors import CheckpointError
from audiotoken.labels import LIKELY
from audiotoken.loading import explain_load_errors, find_model
from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.joint_names import combine_channels, decide_names, price_twins
from audiotoken.stereo.labelled_scene import Label
from audiotoken.unknown import Familiarity, compute_energy, energy_of, load_familiarity
from spatial.listening import SILENCE_PEAK
from spatial.scene import MONO_DIRECTION, Scene, Source

Signal = NDArray[np.float32]
Labels = list[tuple[str, float]]  # (label, score in [0, 1]), best first
Classify = Callable[[Signal, int], Labels]  # signal (frames,), its rate in Hz
Labeller = Callable[[Signal, int], Label | None]
SceneLabeller = Callable[[Scene], tuple[Label | None, ...]]

SILENT = 1e-6  # signals that never get louder get no label


def make_labeller(model: str = "mini", among: Sequence[str] | None = None) -> Labeller:
    """Return a function that labels a signal (frames,) at a rate in Hz.

    The labels are those of the model's encoder, or only those in `among`. The function returns None for silence and if
    the encoder has no labels. Raises CheckpointError if the model has no audio encoder.
    """
    label_scene = make_scene_labeller(model, among)

    def label_signal(signal: Signal, rate: int) -> Label | None:
        return label_scene(Scene((Source(signal, MONO_DIRECTION),), rate, "mono"))[0]

    return label_signal


def make_scene_labeller(model: str = "mini", among: Sequence[str] | None = None) -> SceneLabeller:
    """Return a function that labels all sources of a scene, together (see `joint_names`); as `make_labeller`."""
    encoder, familiarity = _load_encoder_of(model)

    def hear(signal: Signal, rate: int) -> tuple[Labels, float | None]:
        """(labels, energy as `_score` has it)."""
        if not encoder.labels or np.abs(signal).max(initial=0) < SILENT:
            return [], None
        scores, energy = _score(encoder, to_waveform(signal, rate, encoder))
        pairs = zip(encoder.labels, scores, strict=True)
        return sorted((pair for pair in pairs if not among or pair[0] in among), key=lambda pair: -pair[1]), energy

    def label_scene(scene: Scene) -> tuple[Label | None, ...]:
        heard = [hear(source.signal, scene.rate) for source in scene.sources]
        labels, several = [each for each, _ in heard], len(heard) > 1
        familiar = [
            bool(each) and _is_known(familiarity, energy, each[0][1], separated=several) for each, energy in heard
        ]
        mixture = classify_mixture(lambda signal, rate: hear(signal, rate)[0], scene) if several else []
        named, known = decide_names(labels, mixture, familiar, prices=price_twins(scene))
        return tuple(Label(*each[0], sure) if each else None for each, sure in zip(named, known, strict=True))

    return label_scene


def list_encoder_labels(model: str = "mini") -> tuple[str, ...]:
    """The labels among which a model's encoder chooses; CheckpointError if the model has no audio encoder."""
    return tuple(_load_encoder_of(model)[0].labels)


def classify_mixture(classify: Classify, scene: Scene) -> Labels:
    """The labels of the whole recording: the best scores of its channels and of their mean.

    The recording is the sum of the images; no labels without images, as in a long recording.
    """
    recording = scene.sum_images()
    if recording is None:
        return []
    left, right = recording
    audible = [each for each in (left, right, (left + right) / 2) if np.abs(each).max() > SILENCE_PEAK]
    return combine_channels([classify(signal, scene.rate) for signal in audible])


def knows(pipe: SoundPipeline, signal: Signal, rate: int, score: float, *, separated: bool = False) -> bool:
    """Whether the encoder of a pipeline knows sounds like this signal, whose best label has the given score.

    separated: the signal was separated from other sources.
    """
    encoder = pipe.audio_encoder
    if encoder is None or np.abs(signal).max(initial=0) < SILENT:
        return False
    folder = getattr(getattr(encoder, "config", None), "_name_or_path", None)
    familiarity, energy = load_familiarity(folder) if folder else None, None
    if familiarity is not None and isinstance(encoder, MiniNetwork):
        energy = compute_energy(encoder, to_waveform(signal, rate, encoder))
    return _is_known(familiarity, energy, score, separated=separated)


@torch.no_grad()
def _score(encoder: AudioEncoder, waveform: Tensor) -> tuple[list[float], float | None]:
    """(the probability of each class, the energy of a mini encoder, None of others) of a waveform (1, frames)."""
    if not isinstance(encoder, MiniNetwork):
        return encoder.probabilities(waveform)[0].tolist(), None
    decibels = encoder.decibels(waveform)
    evidence = encoder.evidence(decibels)
    return encoder.calibrate(evidence, decibels)[0].tolist(), energy_of(evidence[0])


def _is_known(familiarity: Familiarity | None, energy: float | None, score: float, *, separated: bool) -> bool:
    """Decide by the energy of the encoder where that was fitted, otherwise by its best score."""
    if familiarity is None or energy is None:
        return bool(score >= LIKELY)
    return familiarity.knows(energy, separated)


def to_waveform(signal: Signal, rate: int, encoder: AudioEncoder | AudioTextEncoder) -> Tensor:
    """(1, frames) at the encoder's rate, with the peak level that the familiarity was fitted on, 0.5."""
    loud = 0.5 * signal / max(float(np.abs(signal).max()), 1e-12)
    return torch.from_numpy(resample(loud[None].astype(np.float32), rate, encoder.rate)).to(encoder.device)


def _load_encoder_of(model: str) -> tuple[AudioEncoder, Familiarity | None]:
    """(the audio encoder of a model, how to read its energy); raises CheckpointError if there is no encoder.

    Also of an encoder alone, in a form that `load_encoder` reads: "ced:mispeech/ced-mini".
    """
    if model.partition(":")[0] in CLASSES and ":" in model:
        return load_encoder(model), None
    folder = find_model(model)
    with explain_load_errors(model):
        if not Path(folder).is_dir():
            raise CheckpointError("it is not a local folder; give mini or a folder made by `audiotoken assemble`")
        if not has_encoder(folder):
            raise CheckpointError(
                "it has no audio encoder; give --model mini or a model that `audiotoken assemble` gave one, or do "
                "without: `audiotoken listen --no-labels`, `audiotoken layout --words NAMES`."
            )
        encoder = load_encoder_to_hear(folder)
    return encoder, load_familiarity(Path(folder) / "audio_encoder")
