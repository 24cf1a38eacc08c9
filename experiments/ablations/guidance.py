"""Questions about guidance: two words, each with its true place. What moves them there, and at what cost?

Figures: `present`, `side`: shares of things that are present, and on their side; `all_present`, `all_side`: shares of
pictures in which all are; `error`: horizontal distance from the true place, in widths of the picture; `clear`:
confidence of the detector; `cpu_per_picture`: seconds of this process.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from audiotoken.errors import OptionError
from experiments.ablations.shared import load_pipeline_once
from experiments.benchmarks.cases import encode_cases, make_cases
from experiments.benchmarks.placement import TOKENS, draw_and_score
from experiments.benchmarks.tables import write_sheet
from experiments.hydra_cli import check
from guidance.methods import ENERGY_METHODS, Guidance

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
    """Draw `n` scenes of `seed` with the named guidance method; parameters that are not null replace its own.

    strength, guided_steps (`steps`), inner and bias are those of `guidance.methods.Schedule`, layers those of
    `Guidance`. tokens: "label" words, or "audio" tokens of synthesised sounds with unseen seeds.
    """
    check(n, energy=([energy], ("none", *ENERGY_METHODS)), tokens=([tokens], TOKENS))
    pipe, cases = load_pipeline_once(model), make_cases(n, num_sources, seed, tokens)
    method = build_guidance(energy, strength, guided_steps, inner, layers, bias)
    row, images = draw_and_score(pipe, cases, encode_cases(pipe, cases, tokens), method, "", sampling_steps)
    write_sheet(images, Path(out) / "pictures" / "drawn.png")
    return {name: getattr(row, name) for name in FIGURES} | {"cpu_per_picture": row.seconds}


def build_guidance(
    energy: str,
    strength: float | None = None,
    guided_steps: float | None = None,
    inner: int | None = None,
    layers: str | Sequence[str] | None = None,
    bias: float | None = None,
) -> str | Guidance:
    """The named method with the given values in place of its own. OptionError for any value with "none"."""
    values: dict[str, Any] = {"strength": strength, "steps": guided_steps, "inner": inner, "bias": bias}
    values = {name: value for name, value in values.items() if value is not None}
    if energy == "none":
        if values or layers is not None:
            raise OptionError(
                f"Got {', '.join(values) or 'layers'} for energy=none, expected no values for it; leave them out."
            )
        return energy
    method = ENERGY_METHODS[energy]
    chosen = method.layers if layers is None else layers if isinstance(layers, str) else tuple(layers)
    return replace(method, layers=chosen, schedule=replace(method.schedule, **values))
