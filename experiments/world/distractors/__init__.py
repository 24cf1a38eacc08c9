"""Sounds of things outside the painted world, to train and test the answer "none of these".

`distractor(rate, seconds, seed)` synthesises one of the training KINDS; with `held_out=True` one of HELD_OUT, kinds
that are never used in training. Conventions are those of `synthesis`.
"""

import numpy as np
from numpy.typing import NDArray

from audiotoken.mini.synthesis import Synthesiser, simulate_recorder
from experiments.world.distractors.families import buzz, creature, machine, scraps, strokes
from experiments.world.distractors.held_out import (
    applause,
    bleat,
    cricket,
    drill,
    flute,
    handsaw,
    laughter,
    snore,
    telephone,
)
from experiments.world.distractors.machines import beeps, diesel, hum, jet, siren, vacuum
from experiments.world.distractors.nature import noise, pouring, thunder, wind
from experiments.world.distractors.objects import footsteps, glass, knocking, music, plucked, typing
from experiments.world.distractors.voices import babble, meow, moo

# a kind's place decides its random numbers: add new ones at the end
_TRAINED: tuple[Synthesiser, ...] = (
    *(noise, hum, babble, siren, wind, typing, footsteps, plucked, music, vacuum, jet, beeps),
    *(pouring, diesel, meow, moo, thunder, knocking, glass, scraps),
    *(creature, machine, strokes, buzz),
)
_HELD_OUT: tuple[Synthesiser, ...] = (applause, cricket, snore, telephone, drill, laughter, bleat, handsaw, flute)
_SYNTHESISERS = {sketch.__name__: sketch for sketch in _TRAINED + _HELD_OUT}
KINDS: tuple[str, ...] = tuple(sketch.__name__ for sketch in _TRAINED)
HELD_OUT: tuple[str, ...] = tuple(sketch.__name__ for sketch in _HELD_OUT)


def distractor(
    rate: int = 16000, seconds: float = 5.0, seed: int = 0, *, kind: str | None = None, held_out: bool = False
) -> NDArray[np.float32]:
    """A sound that is none of `things.AUDIBLE_WORDS`: (frames,) float32 in [-1, 1]; by default the seed picks the kind.

    Raises ValueError for an unknown kind.
    """
    kinds = HELD_OUT if held_out else KINDS
    kind = kind or kinds[seed % len(kinds)]
    if kind not in _SYNTHESISERS:
        raise ValueError(f"Got kind={kind!r}, which is not a distractor; choose one of {', '.join(KINDS + HELD_OUT)}")
    rng = np.random.default_rng([1000 + list(_SYNTHESISERS).index(kind), seed])
    return simulate_recorder(_SYNTHESISERS[kind](rng, rate, seconds), rate, rng)
