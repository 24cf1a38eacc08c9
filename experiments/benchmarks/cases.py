"""What is to be recorded or drawn: things at seeded places, in words, in boxes, and as a prompt."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS, WORDS
from audiotoken.prompt import Positions, Prompt, find_word_positions
from audiotoken.protocols import SoundPipeline
from guidance.regions import Region
from spatial.camera import Camera
from spatial.scene import Direction, Source
from spatial.shapes import find_shape

AZIMUTHS = (10.0, 38.0)  # degrees off the middle, of a camera that sees 45 to each side
LEVELS = {1: (-40.0, -15.0), 2: (-45.0, -25.0)}  # dB, by number of things: how large (see spatial.camera)


@dataclass(frozen=True)
class Case:
    """One scene: words, the directions they are heard from, and a seed of sounds and noise."""

    words: tuple[str, ...]
    azimuths: tuple[float, ...]  # degrees, positive right
    levels: tuple[float, ...]  # dB
    seed: int

    def swap_sides(self) -> "Case":
        """The same with left and right exchanged."""
        return replace(self, azimuths=tuple(-azimuth for azimuth in self.azimuths))


def make_cases(
    count: int, things: int, seed: int, tokens: str = "label", words: Sequence[str] | None = None
) -> list[Case]:
    """Case i depends on the seed and i only. Two things have different words, and one is left and one is right.

    words: those to choose from, by default all, or with tokens="audio" those that have a sound.
    """
    known, cases = words or (WORDS if tokens == "label" else AUDIBLE_WORDS), []
    for i in range(count):
        rng = random.Random(f"{seed}/{things}/{i}")
        chosen = rng.sample(known, things)
        sides = rng.sample((-1, 1), 2)[:things]
        azimuths = tuple(side * rng.uniform(*AZIMUTHS) for side in sides)
        cases.append(Case(tuple(chosen), azimuths, tuple(rng.uniform(*LEVELS[things]) for _ in chosen), i))
    return cases


def encode_cases(pipe: SoundPipeline, cases: Sequence[Case], tokens: str) -> list[tuple[Prompt, Positions]]:
    """(prompt, positions of each thing) of every case.

    tokens: "label" names the things, "audio" has an audio token for each.
    """
    rate, encoded = 22_050, []
    for case in cases:
        if tokens == "audio":
            clips = [synthesise(word, rate, 4.0, 700_000 + case.seed) for word in case.words]
            prompt = pipe.encode_prompts(
                "a photo of " + " and ".join(["<audio>"] * len(clips)), pipe.audio_prompts(clips, rate)
            )[0]
            encoded.append((prompt, prompt.positions))
            continue
        prompt = pipe.encode_prompts(write_caption(case))[0]
        encoded.append((prompt, tuple(find_word_positions(prompt.text, word, pipe.tokenizer) for word in case.words)))
    return encoded


def write_caption(case: Case) -> str:
    """ "a photo of a dog and an owl"."""
    return "a photo of " + " and ".join(f"{'an' if word[0] in 'aeiou' else 'a'} {word}" for word in case.words)


def make_regions(case: Case, positions: Sequence[tuple[int, ...]], mono: bool = False) -> list[Region]:
    """The camera's boxes of the true directions; with mono all of them are in the middle."""
    silence = np.zeros(1, np.float32)
    azimuths = [0.0] * len(case.azimuths) if mono else case.azimuths
    sources = [
        Source(silence, Direction(azimuth, 0.0, 1.0), level, ())
        for azimuth, level in zip(azimuths, case.levels, strict=True)
    ]
    shapes = [find_shape(word) for word in case.words]
    if mono:
        boxes = [Camera().box(source, shape=shape) for source, shape in zip(sources, shapes, strict=True)]
    else:
        boxes = Camera().boxes(sources, shapes=shapes)
    return [Region(box, at, word) for box, at, word in zip(boxes, positions, case.words, strict=True)]
