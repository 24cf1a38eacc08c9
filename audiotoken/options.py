"""Ranges and choices of the options for drawing."""

import math
from numbers import Integral, Real
from typing import Any

from audiotoken.errors import OptionError

DTYPES = (None, "float32", "bfloat16", "float16")  # None: the model's own on a GPU, float32 on a CPU
OFFLOADS = ("none", "model", "sequential")
TOKENS = (None, "learned", "label")  # None: learned where the model has an embedder
RANGES = {  # smallest and largest value
    "seed": (0, 2**32),
    "count": (1, 64),
    "steps": (1, 1000),
    "guidance_scale": (0, 100),
    "batch": (1, 1024),
    "width": (8, 8192),
    "height": (8, 8192),
}
SIDE = 8  # pixels that become one of the latents, in every family
REAL = ("guidance_scale",)  # all others are whole numbers


def check_options(
    *, dtype: str | None = None, token: str | None = None, offload: str = "none", **numbers: float | None
) -> None:
    """OptionError for a number out of range or an unknown choice; None stands for the model's own."""
    for name, value in numbers.items():
        low, high = RANGES[name]
        kinds = int | float if name in REAL else int
        if value is not None and not (isinstance(value, kinds) and low <= value <= high):
            whole = "a number" if name in REAL else "a whole number"
            raise OptionError(f"Got {name}={value}, expected {whole} from {low} to {high}; change it.")
    for name in ("width", "height"):
        if (numbers.get(name) or 0) % SIDE:
            raise OptionError(f"Got {name}={numbers[name]}, expected a multiple of {SIDE}; change it.")
    for name, word, choices in (("dtype", dtype, DTYPES), ("token", token, TOKENS), ("offload", offload, OFFLOADS)):
        if word not in choices:
            raise OptionError(f"Got {name}={word}, expected one of {', '.join(filter(None, choices))}; change it.")


MOST = {"count": 10_000, "num_inference_steps": 10_000, "height": 16_384, "width": 16_384}  # of the library
SEEDS = (-(2**63), 2**64)  # what torch's generators take


def check_drawing(*, seed: Any, guidance_scale: Any = None, **numbers: Any) -> None:
    """OptionError for numbers that no model can draw with; None stands for the model's own. The keys are those of MOST.

    Commands allow less, see `check_options`.
    """
    if not isinstance(seed, Integral):
        raise OptionError(f"Got seed={seed!r}, expected a whole number; pass one.")
    if not SEEDS[0] <= int(seed) < SEEDS[1] - MOST["count"]:
        raise OptionError(f"Got seed={seed}, expected a number of 64 bits; pass a smaller one.")
    for name, value in numbers.items():
        if value is not None:
            check_whole(name, value, MOST[name])
    if guidance_scale is not None and not (isinstance(guidance_scale, Real) and math.isfinite(guidance_scale)):
        raise OptionError(f"Got guidance_scale={guidance_scale!r}, expected a finite number; 3 to 9 are usual.")


def check_whole(name: str, value: Any, most: float = math.inf, error: type[ValueError] = OptionError) -> None:
    """Raise `error` unless the value is a whole number from 1 to `most`."""
    if not (isinstance(value, Integral) and 1 <= int(value) <= most):
        few = isinstance(value, Integral) and int(value) > most
        wanted = f"1 to {most}" if few or most < 100 else "at least 1"
        raise error(f"Got {name}={value!r}, expected a whole number, {wanted}; change it.")
