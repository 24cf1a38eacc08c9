"""What is to be drawn: one or two things at seeded places, in words, in boxes, and as a prompt."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS, WORDS
from audiotoken.prompt import find_word_positions
from guidance.regions import Region
from spatial.camera import Camera
from spatial.scene import Direction, Source

AZIMUTHS = (10.0, 38.0)  # degrees off the middle, of a camera that sees 45 to each side
LEVELS = {1: (-40.0, -15.0), 2: (-45.0, -25.0)}  # dB, by number of things: how large (see spatial.camera)


@dataclass(frozen=True, eq=False)
class Case:
    """One picture to draw: words, where they are heard, and the seed of its noise."""

    words: tuple[str, ...]
    azimuths: tuple[float, ...]  # degrees, positive right
    levels: tuple[float, ...]  # dB
    seed: int

    def swapped(self) -> "Case":
        return replace(self, azimuths=tuple(-azimuth for azimuth in self.azimuths))


def make_cases(count: int, things: int, seed: int, tokens: str = "label") -> list[Case]:
    """Case i depends on the seed and i only. Two things are one left and one right, of different words."""
    cases = []
    for i in range(count):
        rng = random.Random(f"{seed}/{things}/{i}")
        words = rng.sample(WORDS if tokens == "label" else AUDIBLE_WORDS, things)
        sides = rng.sample((-1, 1), 2)[:things]
        azimuths = tuple(side * rng.uniform(*AZIMUTHS) for side in sides)
        cases.append(Case(tuple(words), azimuths, tuple(rng.uniform(*LEVELS[things]) for _ in words), i))
    return cases


def read(pipe: Any, cases: Sequence[Case], tokens: str) -> list[tuple[Any, tuple[tuple[int, ...], ...]]]:
    """(prompt, positions of each thing) of every case."""
    rate, found = 22_050, []
    for case in cases:
        if tokens == "audio":
            clips = [synthesise(word, rate, 4.0, 700_000 + case.seed) for word in case.words]
            prompt = pipe.encode_prompts(
                "a photo of " + " and ".join(["<audio>"] * len(clips)), pipe.audio_prompts(clips, rate)
            )[0]
            found.append((prompt, prompt.positions))
            continue
        prompt = pipe.encode_prompts(sentence_of(case))[0]
        found.append((prompt, tuple(find_word_positions(prompt.text, word, pipe.tokenizer) for word in case.words)))
    return found


def sentence_of(case: Case) -> str:
    return "a photo of " + " and ".join(f"{'an' if word[0] in 'aeiou' else 'a'} {word}" for word in case.words)


def regions_of(case: Case, positions: Sequence[tuple[int, ...]], mono: bool = False) -> list[Any]:
    """The camera's boxes of true directions; mono: all of them in the middle."""
    import numpy as np

    silence = np.zeros(1, np.float32)
    azimuths = [0.0] * len(case.azimuths) if mono else case.azimuths
    sources = [
        Source(silence, Direction(azimuth, 0.0, 1.0), level, ())
        for azimuth, level in zip(azimuths, case.levels, strict=True)
    ]
    boxes = [Camera().box(source) for source in sources] if mono else Camera().boxes(sources)
    return [Region(box, at, word) for box, at, word in zip(boxes, positions, case.words, strict=True)]
