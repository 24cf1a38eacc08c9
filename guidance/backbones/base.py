"""What the denoising loop needs of a family of generators.

A `Backbone` wraps a diffusers pipeline (or a subclass, such as one with an audio encoder) and leaves nothing on it. It
conditions (what a prompt is for this family), predicts (with the order of rows and the rule of classifier-free guidance
that the pipeline has), schedules (timesteps, which may depend on the size), decodes, and says where in attention the
words of the prompt and the pixels of the picture stand. Latents are (batch, channels, h, w) here, whatever form the
denoiser reads. Without regions, everything is computed as the pipeline computes it, bit for bit.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, ClassVar, Self

import torch
from PIL.Image import Image
from torch import Tensor

from guidance.errors import GuidanceError
from guidance.interfaces import PromptEmbeds, SchedulerMixin
from guidance.regions import Region

FAMILIES = {  # class of the denoiser: (module in this folder, class in it)
    "DreamLiteUNetModel": ("dreamlite", "DreamLiteBackbone"),
    "UNet2DConditionModel": ("unet", "UNetBackbone"),
    "SD3Transformer2DModel": ("sd3", "SD3Backbone"),
    "FluxTransformer2DModel": ("flux", "FluxBackbone"),
    "Flux2Transformer2DModel": ("flux2", "Flux2Backbone"),
    "ChromaTransformer2DModel": ("chroma", "ChromaBackbone"),
    "QwenImageTransformer2DModel": ("qwen", "QwenImageBackbone"),
    "ZImageTransformer2DModel": ("z_image", "ZImageBackbone"),
}
SUPPORTED = "Stable Diffusion 1, 2, XL or 3, FLUX.1, FLUX.2, Chroma, Qwen-Image, Z-Image or DreamLite"
OR_LAYOUT = ", or write the boxes for its own software with guidance.forms"
# kinds of attention: text with pixels, pixels to text, pixels among themselves, text among itself
MIXES = ("joint", "cross", "self", "text")


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The denoiser's inputs besides latents and timestep, rows in the order of the prompts.

    `negative` is None without classifier-free guidance.
    """

    positive: Tensor  # (batch, tokens, width)
    negative: Tensor | None
    added: dict[str, Tensor] = field(default_factory=dict)  # what else the family's denoiser reads, each (batch, ...)
    negative_added: dict[str, Tensor] = field(default_factory=dict)
    guidance_scale: float = 1.0


@dataclass(frozen=True)
class JointSequence:
    """Where the prompt and the picture stand in the sequence that a transformer attends over."""

    text: int  # index of the prompt's first token
    pixels: int  # index of the first pixel; they follow row by row
    length: int  # of the sequence, with padding


@dataclass(frozen=True, eq=False)
class Backbone(ABC):
    """A diffusers pipeline of a supported family; `from_pipe` finds the class for it."""

    pipe: Any

    default_method: ClassVar[str] = "regional"  # the key of `METHODS` that suits the family
    # of `Regional`. In joint attention words compete with all pixels. Tuned on a small transformer (experiments/world/
    # training/dit.py), not on published weights
    own_boost: ClassVar[float] = 6.0
    has_cross_attention: ClassVar[bool] = False  # separate layers where pixels read the prompt, as energies require

    @classmethod
    def from_pipe(cls, pipe: Any) -> Self:
        """Wrap a pipeline; a backbone is returned as it is. GuidanceError for what is not supported."""
        if isinstance(pipe, cls):
            return pipe
        known = None if isinstance(pipe, Backbone) else _find_family(pipe)
        if known is None or not issubclass(known, cls):
            wanted = f"a pipeline of {SUPPORTED}" if cls is Backbone else "a pipeline with a UNet"
            use = f"one of these{OR_LAYOUT}" if cls is Backbone else "Stable Diffusion 1, 2 or XL"
            came = type(getattr(pipe, "pipe", pipe)).__name__
            raise GuidanceError(f"Got an object of the class {came}, expected {wanted}; use {use}.")
        made = known(pipe)
        made.check()
        return made

    @staticmethod
    def wrap(pipe: Any) -> "Backbone | None":
        """A pipeline of any variant of a family, also of those that cannot be sampled; None for another family."""
        family = _find_family(pipe)
        return None if family is None else family(pipe)

    def check(self) -> None:  # noqa: B027  # most families have no such variants
        """GuidanceError for variants of the family that are not supported."""

    @property
    @abstractmethod
    def denoiser(self) -> Any:
        """The UNet or transformer, a torch module."""

    @property
    @abstractmethod
    def own_defaults(self) -> tuple[int, float]:
        """num_inference_steps and guidance_scale of the diffusers pipeline."""

    @property
    def defaults(self) -> tuple[int, float]:
        """num_inference_steps and guidance_scale that the checkpoint was tuned for."""
        config: Mapping[str, Any] = self.pipe.config
        steps, scale = self.own_defaults
        return config.get("default_steps", steps), config.get("default_guidance", scale)

    def is_guided(self, negative_prompt: str | Sequence[str] | None, guidance_scale: float) -> bool:
        """Whether classifier-free guidance runs, which alone reads the negative prompt."""
        return guidance_scale > 1

    def reads_scale(self, negative_prompt: str | Sequence[str] | None, guidance_scale: float) -> bool:
        """Whether the guidance scale has an effect, as it has not on some models that were distilled."""
        return True

    def describe_unread(self, negative_prompt: str | Sequence[str] | None, guidance_scale: float | None) -> list[str]:
        """A sentence about each of these options that was given and has no effect on this model."""
        scale = self.defaults[1] if guidance_scale is None else guidance_scale
        notes = []
        if negative_prompt and not self.is_guided(negative_prompt, scale):
            where = f" with a guidance scale of {scale:g}" if self.is_guided(negative_prompt, math.inf) else ""
            notes.append(f"The negative prompt has no effect on this model{where}.")
        if guidance_scale is not None and not self.reads_scale(negative_prompt, scale):
            notes.append("The guidance scale has no effect on this model, which was distilled to draw without one.")
        return notes

    @abstractmethod
    def prepare_conditioning(
        self,
        prompts: Sequence[PromptEmbeds],
        negative_prompt: str | Sequence[str] | None,
        guidance_scale: float,
        size: tuple[int, int],
    ) -> Conditioning:
        """Batch the prompts and encode the negative prompt. `size` is (height, width) of the picture in pixels."""

    @abstractmethod
    def make_scheduler(self, num_inference_steps: int, size: tuple[int, int] | None = None) -> SchedulerMixin:
        """A new scheduler with its timesteps set; the pipeline's own keeps its state. `size` as above.

        Its tables and timesteps stay on the CPU: a step then computes its few coefficients there, and no step waits for
        the device.
        """

    @abstractmethod
    def prepare_latents(
        self, scheduler: SchedulerMixin, conditioning: Conditioning, seeds: Sequence[int], size: tuple[int, int]
    ) -> tuple[Tensor, dict[str, Any]]:
        """(latents (batch, channels, h, w), keyword arguments of `scheduler.step`).

        The noise is drawn on the CPU, so that it is the same on every device.
        """

    @abstractmethod
    def resolve_size(self, height: int | None, width: int | None) -> tuple[int, int]:
        """(height, width) in pixels, the model's own where not given. GuidanceError unless the VAE can make it."""

    @abstractmethod
    def predict_noise(
        self, scheduler: SchedulerMixin, latents: Tensor, timestep: Tensor | float, conditioning: Conditioning
    ) -> Tensor:
        """What the scheduler steps with, with classifier-free guidance (Ho & Salimans 2022), as diffusers computes."""

    def predict_in_one_pass(self, latents: Tensor, timestep: Tensor | float, conditioning: Conditioning) -> Tensor:
        """`predict_noise` with both halves of classifier-free guidance as one batch, the negative one first."""
        if conditioning.negative is None:
            return self.predict_raw(latents, timestep, conditioning.positive, conditioning.added)
        embeddings = torch.cat([conditioning.negative, conditioning.positive])
        added = {k: torch.cat([conditioning.negative_added[k], v]) for k, v in conditioning.added.items()}
        unconditional, conditional = self.predict_raw(torch.cat([latents] * 2), timestep, embeddings, added).chunk(2)
        return self.combine(conditional, unconditional, conditioning.guidance_scale)

    @abstractmethod
    def predict_raw(
        self, inputs: Tensor, timestep: Tensor | float, embeddings: Tensor, added: dict[str, Tensor]
    ) -> Tensor:
        """One forward pass of the denoiser. `inputs` are latents that the scheduler has scaled."""

    def scale_inputs(self, scheduler: SchedulerMixin, latents: Tensor, timestep: Tensor | float) -> Tensor:
        """Latents as the denoiser reads them."""
        return latents

    def combine(self, conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
        """Classifier-free guidance of two predictions of `predict_raw`."""
        return unconditional + scale * (conditional - unconditional)

    @abstractmethod
    def attention_layers(self) -> Iterator[tuple[str, Any, str]]:
        """(name, module, kind) of the layers that regional attention changes; kinds are `MIXES`."""

    def count_pixels(self, size: tuple[int, int]) -> int:
        """Pixels of attention, of a picture of `size` (height, width) in pixels; 0 where layers differ."""
        return 0

    def map_regions(self, regions: Sequence[Region]) -> list[Region]:
        """The regions as boxes of the maps."""
        return list(regions)

    def map_aspect(self, size: tuple[int, int]) -> float:
        """Width over height of the maps, of a picture of `size` (height, width)."""
        return size[1] / size[0]

    def locate(self, conditioning: Conditioning, pixels: int) -> JointSequence:
        """Where the prompt and the picture of this many pixels stand in layers of the kind "joint"."""
        raise NotImplementedError

    @abstractmethod
    def decode(self, latents: Tensor, generators: Any = None) -> list[Image]:
        """Decode latents to pictures."""


def seed_generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One generator for each row, on the CPU."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def _find_family(pipe: Any) -> "type[Backbone] | None":
    """The class for a pipeline's denoiser; any object that has a UNet's attention processors counts as a UNet."""
    denoiser = getattr(pipe, "transformer", None) or getattr(pipe, "unet", None)
    names = [kind.__name__ for kind in type(denoiser).__mro__]
    home = next((FAMILIES[name] for name in names if name in FAMILIES), None)
    if home is None and getattr(pipe, "unet", None) is not None and hasattr(pipe.unet, "attn_processors"):
        home = FAMILIES["UNet2DConditionModel"]
    return None if home is None else getattr(import_module(f"guidance.backbones.{home[0]}"), home[1])
