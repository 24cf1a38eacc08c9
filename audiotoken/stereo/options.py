"""The options of a plan and of a drawing, checked before any work begins; nothing heavy is imported here."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import guidance
from audiotoken.errors import OptionError
from audiotoken.options import TOKENS, check_drawing, check_whole
from audiotoken.placeholder import check_negative, check_text
from guidance.errors import GuidanceError
from spatial.camera import Camera
from spatial.errors import SpatialError
from spatial.setups import NAMES, make_setup

if TYPE_CHECKING:
    from torch import Generator

    from guidance.energies import Energy

UNMATCHED = ("add", "drop")
UNKNOWN = ("omit", "unplaced", "guess")
SETUPS = ("auto", "mono", *NAMES)
OUTPUT_TYPES = ("pil", "np")


def resolve_seed(seed: int, generator: "Generator | None") -> int:
    """The initial seed of the generator, or `seed` without one; OptionError for anything but one torch.Generator."""
    if generator is None:
        return seed
    if not hasattr(generator, "initial_seed"):
        raise OptionError(
            f"Got generator={type(generator).__name__}, expected one torch.Generator; for several pictures "
            "pass seed= and count=."
        )
    return generator.initial_seed()


@dataclass(frozen=True)
class PlanOptions:
    """The options of `plan`, under the names that they have there.

    Raises OptionError, PromptError or SpatialError for a value that is not valid.
    """

    prompt: str | None = None
    token: str | None = None  # "learned", "label", or None: whichever draws the recording best
    unmatched: str = "add"  # sources that the prompt does not name: one of UNMATCHED
    unknown: str = "omit"  # sounds that the encoder does not know: one of UNKNOWN
    setup: str = "auto"  # one of SETUPS; "mono" ignores directions
    spacing: float | None = None  # metres between the microphones of setup="spaced"
    max_sources: int = 4
    fov: float = 90.0  # degrees across the picture

    def __post_init__(self) -> None:
        if self.prompt is not None:
            check_text(self.prompt)
        check_choice("token", self.token, TOKENS)
        check_choice("unmatched", self.unmatched, UNMATCHED)
        check_choice("unknown", self.unknown, UNKNOWN)
        check_choice("setup", self.setup, SETUPS, SpatialError)
        if self.setup in NAMES:
            make_setup(self.setup, spacing=self.spacing)
        if self.setup != "mono":
            check_whole("max_sources", self.max_sources, 4, SpatialError)
        Camera(self.fov)


@dataclass(frozen=True)
class DrawOptions:
    """The options of `draw` and `film`, under the names that they have there.

    None stands for the model's own value. Raises OptionError, PromptError or GuidanceError for a value that is not
    valid.
    """

    energy: "str | guidance.Guidance | guidance.Regional | Energy" = (
        "auto"  # or "none", one of `guidance.METHODS`, your own
    )
    seed: int = 0  # picture i is drawn with seed + i
    count: int = 1  # pictures; a film has as many as it has frames
    negative_prompt: str | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    height: int | None = None  # pixels
    width: int | None = None  # pixels
    keep_maps: bool = False  # keep the attention maps of each region
    output_type: str = "pil"  # one of OUTPUT_TYPES

    def __post_init__(self) -> None:
        check_negative(self.negative_prompt)
        check_choice("output_type", self.output_type, OUTPUT_TYPES)
        if isinstance(self.energy, str):
            check_choice("energy", self.energy, ("auto", "none", *guidance.METHODS), GuidanceError)
        check_drawing(
            seed=self.seed,
            count=self.count,
            num_inference_steps=self.num_inference_steps,
            guidance_scale=self.guidance_scale,
            height=self.height,
            width=self.width,
        )

    @property
    def energy_name(self) -> str:
        """The energy itself if it is a name, the name of an energy function, or "custom"."""
        return self.energy if isinstance(self.energy, str) else getattr(self.energy, "__name__", "custom")

    @property
    def sampling(self) -> dict[str, Any]:
        """Keyword arguments for both `guidance.sample` and `guidance.animate`."""
        names = ("energy", "negative_prompt", "num_inference_steps", "guidance_scale", "height", "width", "keep_maps")
        return {name: getattr(self, name) for name in names}


def check_choice(
    name: str, value: str | None, choices: tuple[str | None, ...], error: type[ValueError] = OptionError
) -> None:
    """Raise `error` unless the value is one of the choices."""
    if value not in choices:
        known = ", ".join(filter(None, choices))
        raise error(f'Got {name}="{value}", expected one of {known}; choose one of these.')
