"""Sounds of the painted world, synthesised: one physical sketch per thing that can be heard.

`synthesise("bell", 16000, 5.0, seed=3)` gives a `(frames,) float32` signal in [-1, 1]. Every seed is another bell:
pitch, rhythm, material, room, level and noise floor are drawn from it. The same arguments give the same sound.
Sounds of other things: `experiments.world.distractors`.
"""

import numpy as np
from numpy.typing import NDArray

from audiotoken.mini.sounds.machines import car, chainsaw, clock, helicopter, train
from audiotoken.mini.sounds.nature import fire, rain, wave
from audiotoken.mini.sounds.percussion import bell, drum
from audiotoken.mini.sounds.voices import baby, bird, dog, frog, person, rooster
from audiotoken.mini.synthesis import Synthesiser, simulate_recorder
from audiotoken.mini.things import AUDIBLE_WORDS

_SKETCHES: tuple[Synthesiser, ...] = (
    *(dog, rooster, baby, person, frog, bird),
    *(fire, rain, wave),
    *(clock, helicopter, chainsaw, car, train),
    *(bell, drum),
)
_SYNTHESISERS = {sketch.__name__: sketch for sketch in _SKETCHES}


def synthesise(word: str, rate: int = 16000, seconds: float = 5.0, seed: int = 0) -> NDArray[np.float32]:
    """The sound of `word` (one of `things.AUDIBLE_WORDS`) as recorded in a room: (frames,) float32 in [-1, 1].

    Raises ValueError for a word that has no sound.
    """
    if word not in _SYNTHESISERS:
        raise ValueError(f"no sound is known for {word!r}; choose one of {', '.join(AUDIBLE_WORDS)}")
    rng = np.random.default_rng([AUDIBLE_WORDS.index(word), seed])
    return simulate_recorder(_SYNTHESISERS[word](rng, rate, seconds), rate, rng)
