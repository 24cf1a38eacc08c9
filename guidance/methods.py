"""The guidance methods by name: an energy with its layers and schedule, or regional attention."""

import math
from dataclasses import dataclass, field, replace

from guidance import energies as E
from guidance.errors import GuidanceError


@dataclass(frozen=True)
class Schedule:
    """When and how far latents move. Strengths are for latents of unit variance."""

    steps: int | float = 0.5  # guided steps, counted from the first: a whole number, or a share of all steps below 1
    inner: int = 1  # updates before a step, each with a forward pass of its own
    after_step: bool = False  # one update after a step, from that step's own forward pass
    strength: float = 30.0  # latents -= strength * (1 - alpha_bar) * gradient
    stop_below: float = 0.2  # energy below which latents are not updated
    max_update_rms: float = float("inf")  # root mean square of an update, relative to the latents'
    bias: float = 0.0  # added to the logits inside a region, subtracted outside: "forward" guidance
    bias_steps: int | float = 0.5  # steps with a bias, counted as in `steps`


@dataclass(frozen=True)
class Guidance:
    """An energy, the layers whose maps it reads (see `Backbone.select_layers`), and its schedule."""

    energy: E.Energy | None
    layers: str | tuple[str, ...] = "published"
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True)
class Regional:
    """Regional attention without gradients, see `guidance.regional`; it runs on every family.

    `restricted` keeps pixels of a region, and those of the background, from reading one another.
    """

    steps: int | float = 0.5  # masked steps, counted from the first: a whole number, or a share of all steps below 1
    boost: float | None = None  # added to the logits with which pixels of a region read its words; None: the family's
    base_ratio: float = 0.0  # share of the output that is computed without the mask, in [0, 1]
    restricted: bool = False

    def __post_init__(self) -> None:
        if not (0 <= self.base_ratio <= 1 and self.steps >= 0 and math.isfinite(self.boost or 0)):
            raise GuidanceError(
                f"Got steps={self.steps}, boost={self.boost} and base_ratio={self.base_ratio}, expected steps from 0, "
                "a finite boost and a ratio from 0 to 1; change them."
            )


Method = Guidance | Regional

# As published where a paper says it: Chen et al. update up to five times at each of the first ten steps by 30 times the
# gradient, BoxDiff once at each step of the first half. "combined" was tuned on the mini checkpoint
# (experiments/benchmarks/placement.py): where a model does not say which of its layers show words best, the last
# downward blocks already know where a word will be, and the bias, which is free, keeps it there. It reads the maps of
# the step's own forward pass, so that only the way back is added.
PUBLISHED = Schedule(steps=10, inner=5, strength=30.0, stop_below=0.2)
COMBINED = Guidance(
    E.combined_energy,
    "own",
    Schedule(steps=0.3, inner=0, after_step=True, strength=90.0, stop_below=0.1, bias=8.0),
)
ENERGY_METHODS: dict[str, Guidance] = {
    "forward": Guidance(None, "published", Schedule(steps=0, inner=0, bias=6.0)),
    "layout": Guidance(E.layout_energy, "published", PUBLISHED),
    "boxdiff": Guidance(E.boxdiff_energy, "published", replace(PUBLISHED, steps=0.5, inner=1)),
    "centroid": Guidance(
        E.centroid_energy, "published", Schedule(steps=0.5, inner=0, after_step=True, strength=30.0, stop_below=0.05)
    ),
    "combined": COMBINED,
}
METHODS: dict[str, Method] = {**ENERGY_METHODS, "regional": Regional()}
