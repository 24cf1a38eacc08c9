"""Listening by names: a word of the prompt says what there is, and the audio encoder when and at which frequencies.

Without a prompt, what the encoder hears in the whole recording takes the place of the words. So a sound gets a
direction that was not found without its name, as it is weak or beside a louder one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audiotoken.audio import SILENCE
from audiotoken.encoders.audioset import find_label
from audiotoken.encoders.mini_network import MiniNetwork
from audiotoken.encoders.saliency import compute_activities, list_columns
from audiotoken.labels import LIKELY
from audiotoken.protocols import SoundPipeline
from audiotoken.stereo.joint_names import Heard, to_evidence
from audiotoken.stereo.layouts import is_everywhere
from audiotoken.stereo.naming import to_waveform
from audiotoken.stereo.words import Word
from spatial.matching import Match
from spatial.scene import Scene
from spatial.weighted import add_sources, localise_activities

APART = {"panned": 5.0}  # degrees from all other sources, by setup
APART_ELSEWHERE = 10.0
INAUDIBLE = -4.0  # log-odds in the whole recording below which a word of the prompt is not sought


def add_named_sources(
    pipe: SoundPipeline,
    scene: Scene,
    heard: Sequence[Heard],
    words: Sequence[Word],
    matches: Sequence[Match],
    mixture: Heard,
    most: int,
) -> Scene | None:
    """The scene with a source for each word that has none, up to `most`; None if there is nothing to add.

    Of words that are labels of a mini audio encoder, are not quite inaudible in the recording, and are heard from a
    direction of their own.
    """
    encoder = pipe.audio_encoder
    if not isinstance(encoder, MiniNetwork):
        return None
    tokens = {pair.source: pair.token for pair in matches if pair.source is not None}
    of_word = [find_label(word.text, encoder.labels) for word in words]
    names = [each[0][0] if (at := tokens.get(i)) is None else of_word[at] for i, each in enumerate(heard) if each]
    scores = dict(mixture)
    unheard = [of_word[pair.token] for pair in matches if pair.source is None and pair.token is not None]
    wanted = [
        label
        for label in dict.fromkeys(unheard)
        if label and label not in names and to_evidence(scores.get(label, 0.0)) >= INAUDIBLE
    ]
    return _add_labels(encoder, scene, wanted, names, most)


def add_heard_sources(
    pipe: SoundPipeline, scene: Scene, heard: Sequence[Heard], mixture: Heard, most: int
) -> tuple[Scene | None, list[str]]:
    """(the scene with a source for each label that is likely in the whole recording and that no source is, the labels).

    As `add_named_sources`, without a prompt, by labels that were decided together; (None, labels) if there is nothing
    to add. In the echoes of one sound an encoder may hear another, so the new signals have to be heard: `are_found`.
    One sound that comes from everywhere has no other beside it.
    """
    encoder = pipe.audio_encoder
    if not isinstance(encoder, MiniNetwork) or any(is_everywhere(source) for source in scene.sources):
        return None, []
    names = [each[0][0] for each in heard if each]
    wanted = [label for label, score in mixture if score >= LIKELY and label not in names]
    return _add_labels(encoder, scene, wanted, names, most), wanted


def are_found(wanted: Sequence[str], before: Sequence[Heard], after: Sequence[Heard]) -> bool:
    """Whether the sources are still what they were, and one more is clearly each wanted label.

    before, after: labels that were decided together.
    """
    names, best = [each[0][0] for each in before if each], [each[0] for each in after if each]
    clear = all(score >= LIKELY for label, score in best if label in wanted)
    return clear and sorted(label for label, _ in best) == sorted([*names, *wanted])


def can_find_names(pipe: SoundPipeline) -> bool:
    """Whether the pipeline's encoder says when and at which frequencies it hears a name."""
    return isinstance(pipe.audio_encoder, MiniNetwork)


def _add_labels(
    encoder: MiniNetwork, scene: Scene, wanted: Sequence[str], names: Sequence[str | None], most: int
) -> Scene | None:
    """The scene with a source for each wanted label that is heard from a direction of its own, up to `most`.

    None if there is no such label, or if separation then leaves a source without any sound.
    """
    recording = None if scene.setup == "mono" or not wanted else scene.sum_images()
    if recording is None:
        return None
    others = [name for name in dict.fromkeys(names) if name and name in encoder.labels]
    azimuths = list(scene.azimuths)
    for azimuth in _locate(encoder, scene, recording, [*wanted, *others])[: len(wanted)]:
        if min(abs(azimuth - other) for other in azimuths) >= APART.get(scene.setup, APART_ELSEWHERE):
            azimuths.append(azimuth)
    added = azimuths[len(scene.sources) : most]
    more = add_sources(scene, added) if added else None
    return None if more is None or any(np.ptp(source.signal) < 2 * SILENCE for source in more.sources) else more


def _locate(encoder: MiniNetwork, scene: Scene, recording: NDArray[np.float32], labels: Sequence[str]) -> list[float]:
    """The azimuth of each label in the recording of a scene."""
    waveform = to_waveform(recording.mean(axis=0), scene.rate, encoder)
    activities = compute_activities(encoder, waveform, [encoder.labels.index(label) for label in labels])
    times, frequencies = list_columns(encoder, activities.shape[1])
    spacing = scene.spacing if scene.setup == "spaced" else None
    return localise_activities(
        recording, scene.rate, activities, times, frequencies, setup=scene.setup, spacing=spacing
    )
