"""Questions about guidance: two words, each with its true place; what moves them there, and at what price?

Figures: `present`, `side`: shares of things seen at all, and on their side; `all_present`, `all_side`: of pictures with
all of them; `error`: distance from where it should be, in widths of the picture, along it; `clear`: how sure the
detector is of what it sees; `cpu_per_picture`: seconds of this process.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiotoken.errors import OptionError
from experiments.ablations.shared import load_pipeline_once
from experiments.benchmarks.cases import make_cases, read
from experiments.benchmarks.placement import TOKENS, run
from experiments.benchmarks.tables import sheet_of
from experiments.door import check
from guidance.methods import METHODS

FIGURES = ("present", "side", "error", "all_present", "all_side", "clear")


def place_words(
    *,
    model: str = "mini",
    energy: str = "combined",
    strength: float | None = None,
    guided_steps: float | None = None,
    inner: int | None = None,
    layers: str | list[str] | None = None,
    bias: float | None = None,
    num_sources: int = 2,
    n: int = 6,
    tokens: str = "label",
    sampling_steps: int | None = 10,
    seed: int,
    out: str | os.PathLike,
) -> dict[str, float]:
    """Draw `n` scenes of `seed` with guidance by a method of that name, changed where something is not null.

    strength, guided_steps (`steps` of a schedule), inner, bias: of `guidance.methods.Schedule`; layers: of `Guidance`.
    tokens: "label" words, or "audio" tokens of synthesised unheard sounds.
    """
    check(n, energy=([energy], ("none", *METHODS)), tokens=([tokens], TOKENS))
    pipe, cases = load_pipeline_once(model), make_cases(n, num_sources, seed, tokens)
    method = guidance_of(energy, strength, guided_steps, inner, layers, bias)
    line, images = run(pipe, cases, read(pipe, cases, tokens), method, "", sampling_steps)
    sheet_of(images, Path(out) / "pictures" / "drawn.png")
    return {name: getattr(line, name) for name in FIGURES} | {"cpu_per_picture": line.seconds}


def guidance_of(
    energy: str,
    strength: float | None = None,
    guided_steps: float | None = None,
    inner: int | None = None,
    layers: str | Sequence[str] | None = None,
    bias: float | None = None,
) -> Any:
    """The method of that name with what is given in its place; "none" has nothing that could be changed."""
    given: dict[str, Any] = {"strength": strength, "steps": guided_steps, "inner": inner, "bias": bias}
    given = {name: value for name, value in given.items() if value is not None}
    if energy == "none":
        if given or layers is not None:
            raise OptionError(f"Got {', '.join(given) or 'layers'} for energy=none, which has none; leave it out.")
        return energy
    method = METHODS[energy]
    chosen = method.layers if layers is None else layers if isinstance(layers, str) else tuple(layers)
    return replace(method, layers=chosen, schedule=replace(method.schedule, **given))
