"""Listening for words: of each, whether it is heard, when and where.

An encoder of sounds and texts says how well each word fits each moment of the recording, and the bins of such moments
vote for directions, less the votes of the other words. A word is the source that votes and the separated signals say it
is; one that no source is left for is heard where its own bins say. Words that are told may be faint, as in a prompt.

Conventions: as in `spatial.scene`; similarity is (sources, words) in [0, 1].
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from audiotoken.encoders import AudioTextEncoder
from audiotoken.encoders.mini_words import MiniWords
from audiotoken.encoders.saliency import compute_activities, list_columns
from audiotoken.errors import OptionError
from audiotoken.stereo.joint_names import to_evidence, to_score
from audiotoken.stereo.labelled_scene import HeardWord
from audiotoken.stereo.naming import to_waveform
from audiotoken.stereo.words import FAINT, THRESHOLD, match_words
from spatial.listening import SILENCE_PEAK
from spatial.scene import Scene
from spatial.weighted import vote_for_azimuths

PEAK = 0.5  # share of a word's clearest moment from which it is heard
BRIDGE = 0.4  # seconds: shorter pauses do not end a span
FLOOR = 0.02  # similarity of a source in the least likely direction of a word, as a share of the most likely one's

Activities = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]  # see `spatial.weighted`


def listen_for_words(scene: Scene, encoder: AudioTextEncoder) -> tuple[HeardWord, ...]:
    """Each of the encoder's words in the recording of a scene, in their order.

    Words and sources are assigned to each other for the largest sum of evidence, Kuhn (1955); either may stay alone.
    Of a recording that is heard in windows: `long_words`. OptionError for a scene whose sources have no images.
    """
    return add_spans(*find_words(scene, encoder), encoder.hop)


def find_words(scene: Scene, encoder: AudioTextEncoder) -> tuple[tuple[HeardWord, ...], NDArray[np.floating]]:
    """(words without spans, (moments, words) in [0, 1]: the score of each moment, 0 of a word that is not heard)."""
    recording = scene.sum_images()
    if recording is None and scene.sources:
        raise OptionError("Got a scene without images, expected one of `listen`; listen to the words in its windows.")
    if recording is None or np.abs(recording).max() <= SILENCE_PEAK:
        return tuple(HeardWord(word, 0.0, heard=False) for word in encoder.words), np.zeros((0, len(encoder.words)))
    scores, moments = score_words(recording, scene.rate, encoder)
    grid, votes = locate_words(scene, recording, encoder, moments)
    signals = score_signals(scene, encoder)
    similarity = np.maximum(expect_words(signals), compare_words(scene, scores, grid, votes))
    matches = {pair.token: pair.source for pair in match_words(similarity)}
    out = []
    for i, word in enumerate(encoder.words):
        source, score = matches.get(i), float(scores[i])
        if source is None and to_evidence(score) < FAINT:
            out.append(HeardWord(word, score, heard=False))
            continue
        azimuth = scene.azimuths[source] if source is not None else float(grid[votes[i].argmax()])
        score = score if source is None else max(score, float(signals[source, i]))
        out.append(HeardWord(word, score, True, None if scene.setup == "mono" else azimuth, source=source))
    return tuple(out), moments * [word.heard for word in out]


def add_spans(words: Sequence[HeardWord], moments: NDArray[np.floating], hop: float) -> tuple[HeardWord, ...]:
    """The words with the spans in which those that are heard sound; moments: (moments, words), `hop` seconds long."""
    spans = [find_spans(moments[:, i], hop) if word.heard else () for i, word in enumerate(words)]
    return tuple(replace(word, active=active) for word, active in zip(words, spans, strict=True))


def score_words(
    recording: NDArray[np.float32], rate: int, encoder: AudioTextEncoder
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """(scores (words,), scores of moments (moments, words)): the best of both channels and their mean."""
    channels = [each for each in (*recording, recording.mean(axis=0)) if np.abs(each).max() > SILENCE_PEAK]
    waveforms = torch.cat([to_waveform(each, rate, encoder) for each in channels])
    scores, moments = encoder.score(waveforms), encoder.score_moments(waveforms)
    return scores.amax(dim=0).cpu().numpy(), moments.amax(dim=0).cpu().numpy()


def locate_words(
    scene: Scene, recording: NDArray[np.float32], encoder: AudioTextEncoder, moments: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """(azimuths, votes of each word for them); all votes are equal where there are no directions."""
    if scene.setup == "mono":
        return np.zeros(1), np.ones((len(encoder.words), 1))
    activities, times, frequencies = _find_activities(recording, scene.rate, encoder, moments)
    spacing = scene.spacing if scene.setup == "spaced" else None
    return vote_for_azimuths(recording, scene.rate, activities, times, frequencies, setup=scene.setup, spacing=spacing)


def compare_words(
    scene: Scene, scores: NDArray[np.floating], grid: NDArray[np.floating], votes: NDArray[np.floating]
) -> NDArray[np.float64]:
    """(sources, words) in [0, 1]: how likely each word is, lower in directions for which it votes less."""
    at = [int(np.abs(grid - azimuth).argmin()) for azimuth in scene.azimuths]
    low, high = votes.min(axis=1, keepdims=True), votes.max(axis=1, keepdims=True)
    share = (votes - low) / np.maximum(high - low, 1e-12) if np.ptp(votes) else np.ones_like(votes)
    return (expect_words(scores)[:, None] * np.maximum(share, FLOOR))[:, at].T


def score_signals(scene: Scene, encoder: AudioTextEncoder) -> NDArray[np.floating]:
    """(sources, words) in [0, 1]: the score of each word in each separated signal."""
    rows = [encoder.score(to_waveform(source.signal, scene.rate, encoder))[0].cpu().numpy() for source in scene.sources]
    return np.array(rows).reshape(len(rows), len(encoder.words))


def expect_words(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores of words that are told: from `FAINT` log-odds on they may be matched."""
    return to_score(to_evidence(scores.astype(float)) - FAINT + to_evidence(THRESHOLD))


def find_spans(moments: NDArray[np.floating], hop: float) -> tuple[tuple[float, float], ...]:
    """(start, stop) seconds of the moments that are half as clear as the clearest, short pauses bridged."""
    clear = np.flatnonzero(moments >= PEAK * moments.max(initial=0))
    if not len(clear):
        return ()
    breaks = np.flatnonzero((np.diff(clear) - 1) * hop > BRIDGE)
    starts, stops = clear[np.append(0, breaks + 1)], clear[np.append(breaks, len(clear) - 1)] + 1
    return tuple((float(a * hop), float(b * hop)) for a, b in zip(starts, stops, strict=True))


def _find_activities(
    recording: NDArray[np.float32], rate: int, encoder: AudioTextEncoder, moments: NDArray[np.floating]
) -> Activities:
    """When and at which frequencies; an encoder that does not tell frequencies counts all alike."""
    if isinstance(encoder, MiniWords):
        mono = to_waveform(recording.mean(axis=0), rate, encoder)
        activities = compute_activities(encoder.network, mono, encoder.classes)
        return activities, *list_columns(encoder.network, activities.shape[1])
    times = (np.arange(len(moments), dtype=np.float64) + 0.5) * encoder.hop
    clear = moments / np.maximum(moments.max(axis=0), 1e-12)
    return np.repeat(clear.T[:, :, None], 2, axis=2).astype(np.float32), times, np.array([0.0, rate / 2])
