"""Listening for words in a recording that is heard in windows, one by one: whether, when and where each is heard.

Kept of a window are its best words and one number for each moment and word, so that memory hardly grows with the
length of the recording. Windows overlap; half of each overlap is left to the neighbour, as in `spatial.windows`.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audiotoken.encoders import AudioTextEncoder
from audiotoken.stereo.labelled_scene import HeardWord
from audiotoken.stereo.word_listening import add_spans, find_words
from spatial.scene import Scene


class LongWords:
    """The words of all windows so far; `add` is an `OnWindow` of `spatial.windows`."""

    def __init__(self, encoder: AudioTextEncoder, overlap: float):
        self.encoder, self.overlap = encoder, overlap  # overlap: of windows, seconds
        self.words = [HeardWord(word, 0.0, heard=False) for word in encoder.words]
        self.moments: NDArray[np.floating] = np.zeros((0, len(self.words)), np.float32)  # (moments, words)

    def add(self, start: float, scene: Scene, order: Sequence[int], more: bool) -> None:
        """Listen to a window that begins at `start` seconds; `order[i]` numbers its i-th source in the recording."""
        heard, moments = find_words(scene, self.encoder)
        numbered = [word if word.source is None else replace(word, source=order[word.source]) for word in heard]
        self.words = [
            max(pair, key=lambda word: (word.heard, word.score)) for pair in zip(self.words, numbered, strict=True)
        ]
        first = round((start + self.overlap / 2) / self.encoder.hop) if start else 0
        kept = self.moments[:first]
        gap = np.zeros((first - len(kept), len(self.words)))  # of silent windows, which have no moments
        new = moments[first - round(start / self.encoder.hop) :]
        self.moments = np.concatenate([kept, gap, new], dtype=np.float32)

    def finish(self, order: Sequence[int], scene: Scene) -> tuple[HeardWord, ...]:
        """The words of the whole recording, each where it is heard best.

        `order[i]` is the number, so far, of the scene's source i. A word of a source that the scene lacks, as it is
        doubtful, keeps its direction.
        """
        out = []
        for word in self.words:
            source = order.index(word.source) if word.source in order else None
            azimuth = word.azimuth if source is None or word.azimuth is None else scene.azimuths[source]
            out.append(replace(word, source=source, azimuth=azimuth))
        return add_spans(out, self.moments, self.encoder.hop)
