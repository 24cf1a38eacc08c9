"""Regional attention without gradients: the words of a region are read by its pixels only, then released.

After Regional-Prompting-FLUX, Chen et al. (2024), arXiv 2411.02395 (the four parts of the joint mask, the base ratio,
the number of masked steps); Stitch, Bader et al. (2025), arXiv 2509.26644 (objects bound to their boxes in the first
steps only); and Zhang et al. (2025), arXiv 2504.10148 (key parts of attention are amplified, others suppressed). Here
the words stay in their prompt, where their positions are known, instead of being encoded a second time.

Every layer is masked where torch computes it (`scaled_dot_product_attention`), so that a family's processors, LoRA
layers and offloading stay as they are, whether they accept a mask or not.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.overrides import TorchFunctionMode

from guidance.backbones import Backbone, Conditioning, JointSequence
from guidance.errors import GuidanceError
from guidance.interfaces import SchedulerMixin
from guidance.methods import Regional
from guidance.noise_levels import NoiseLevel, is_within
from guidance.regions import Region, map_shape
from guidance.trace import StepTrace

ARGUMENTS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
Latents = Float[Tensor, "batch channels h w"]
Members = Bool[Tensor, "batch positions regions"]


class MaskedAttention(TorchFunctionMode):
    """While active, adds a bias to `scaled_dot_product_attention` inside the layers of a backbone.

    get_bias: (kind of layer, queries, keys) -> (batch, queries, keys) or None. base_ratio: share of the output that is
    computed without the bias.
    """

    def __init__(self, get_bias: Callable[[str, int, int], Tensor | None], base_ratio: float) -> None:
        super().__init__()
        self.get_bias, self.base_ratio = get_bias, base_ratio
        self.kind: str | None = None  # of the layer that is running
        self.calls = 0
        self.active = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention or self.kind is None:
            return func(*args, **kwargs)
        self.calls += 1
        inputs = dict(zip(ARGUMENTS, args, strict=False)) | kwargs
        bias = self.get_bias(self.kind, inputs["query"].shape[-2], inputs["key"].shape[-2])
        if bias is None:
            return func(**inputs)
        mask = _add_mask(bias.to(inputs["query"]), inputs.get("attn_mask"))
        masked = func(**{**inputs, "attn_mask": mask})
        if self.base_ratio == 0:
            return masked
        return self.base_ratio * func(**inputs) + (1 - self.base_ratio) * masked

    @contextmanager
    def watch(self, backbone: Backbone) -> Iterator[None]:
        """Context manager: know which layer runs. GuidanceError where one computes attention in another way."""
        with ExitStack() as hooks:
            for name, module, kind in backbone.attention_layers():
                enter = module.register_forward_pre_hook(lambda *_, kind=kind: self._enter(kind))
                leave = module.register_forward_hook(lambda *_, name=name: self._leave(name))
                hooks.callback(enter.remove)
                hooks.callback(leave.remove)
            yield

    def _enter(self, kind: str) -> None:
        self.kind, self.calls = kind if self.active else None, 0

    def _leave(self, layer: str) -> None:
        masked, self.kind = self.kind is not None, None
        if masked and self.calls == 0:
            raise GuidanceError(
                f"Got attention in {layer} that torch does not compute, expected scaled_dot_product_attention; call "
                'set_attention_backend("native") on the denoiser, or draw with energy="none".'
            )


class RegionalAttention:
    """The regional attention of one run; made by `attend`. It has the steps of `steering.Steering`."""

    def __init__(
        self,
        backbone: Backbone,
        conditioning: Conditioning,
        regions: Sequence[Sequence[Region]],
        method: Regional,
        size: tuple[int, int],
    ) -> None:
        self.backbone, self.conditioning = backbone, conditioning
        self.method = replace(method, boost=backbone.own_boost if method.boost is None else method.boost)
        self.regions = [backbone.map_regions(row) for row in regions]
        self.aspect = backbone.map_aspect(size)
        self.pixels = backbone.count_pixels(size)
        self.trace: list[StepTrace] = []
        self.maps: list[list[Tensor]] = []  # none: there is no energy
        self.mask = MaskedAttention(self._get_bias, method.base_ratio)
        self._biases: dict[tuple[str, int, int], Tensor | None] = {}

    def update_before_step(self, latents: Latents, level: NoiseLevel, scheduler: SchedulerMixin) -> Latents:
        """The latents as they are; the step is noted in the trace."""
        self.trace.append(StepTrace(level.step, level.sigma))
        return latents

    def update_after_step(self, latents: Latents, level: NoiseLevel, after: NoiseLevel) -> Latents:
        """The latents as they are."""
        return latents

    def finish(self) -> None:
        """Nothing is left to be done."""

    def predict_noise(self, latents: Latents, level: NoiseLevel, scheduler: SchedulerMixin) -> Latents:
        """The prediction of this step, with the mask on the prompt's half in the first steps."""
        backbone, conditioning = self.backbone, self.conditioning
        if not is_within(level, self.method.steps):
            return backbone.predict_noise(scheduler, latents, level.timestep, conditioning)
        inputs = backbone.scale_inputs(scheduler, latents, level.timestep)
        self.mask.active = True
        try:
            with self.mask:
                conditional = backbone.predict_raw(inputs, level.timestep, conditioning.positive, conditioning.added)
        finally:
            self.mask.active, self.mask.kind = False, None
        if conditioning.negative is None:
            return conditional
        unconditional = backbone.predict_raw(inputs, level.timestep, conditioning.negative, conditioning.negative_added)
        return backbone.combine(conditional, unconditional, conditioning.guidance_scale)

    def _get_bias(self, kind: str, queries: int, keys: int) -> Float[Tensor, "batch 1 {queries} {keys}"] | None:
        """-inf where nothing is read, `boost` where a region's pixels read its words; None where all is free."""
        if (kind, queries, keys) not in self._biases:
            bias = self._make_bias(kind, queries, keys)
            self._biases[kind, queries, keys] = None if bias is None else bias.to(self.conditioning.positive)[:, None]
        return self._biases[kind, queries, keys]

    def _make_bias(self, kind: str, queries: int, keys: int) -> Float[Tensor, "batch {queries} {keys}"] | None:
        if kind == "self" and not self.method.restricted:
            return None
        if kind == "cross":
            pixels, words = self._pixel_members(queries), self._word_members(keys)
            return make_bias((pixels, _all(queries)), (words, ~_all(keys)), self.method)
        members, is_pixel = self._sequence_members(kind, keys)
        return make_bias((members, is_pixel), (members, is_pixel), self.method)

    def _sequence_members(self, kind: str, length: int) -> tuple[Members, Bool[Tensor, " {length}"]]:
        """(members, which positions are pixels) of the sequence that a layer of this kind attends over."""
        members = torch.zeros(len(self.regions), length, self._most, dtype=torch.bool)
        is_pixel = torch.zeros(length, dtype=torch.bool)
        pixels, place = self.pixels or length, JointSequence(text=0, pixels=0, length=length)
        if kind == "joint":
            place = self.backbone.locate(self.conditioning, pixels)
        if kind in ("joint", "text"):
            words = self._word_members(self.conditioning.positive.shape[1])
            members[:, place.text : place.text + words.shape[1]] = words
        if kind in ("joint", "self"):
            members[:, place.pixels : place.pixels + pixels] = self._pixel_members(pixels)
            is_pixel[place.pixels : place.pixels + pixels] = True
        return members, is_pixel

    @property
    def _most(self) -> int:
        return max(map(len, self.regions))

    def _pixel_members(self, pixels: int) -> Members:
        """A pixel is in a region that covers half of it, or where none is, in the region that covers it most."""
        h, w = map_shape(pixels, self.aspect)
        members = torch.zeros(len(self.regions), pixels, self._most, dtype=torch.bool)
        for row, regions in enumerate(self.regions):
            for i, region in enumerate(regions):
                cover = region.cover(h, w).flatten()
                members[row, :, i] = cover >= min(0.5, float(cover.max()))
        return members

    def _word_members(self, tokens: int) -> Members:
        members = torch.zeros(len(self.regions), tokens, self._most, dtype=torch.bool)
        for row, regions in enumerate(self.regions):
            for i, region in enumerate(regions):
                members[row, list(region.positions), i] = True
        return members


def make_bias(
    queries: tuple[Members, Bool[Tensor, " queries"]], keys: tuple[Members, Bool[Tensor, " keys"]], method: Regional
) -> Float[Tensor, "batch queries keys"]:
    """The four parts of the mask (arXiv 2411.02395, sec. 3.2), from the members and which of them are pixels.

    Text to text: the words of a region do not read those of another. Text to pixels: they read their pixels only.
    Pixels to text: a region's words are read in the region only, more by `boost`. Pixels to pixels: free, or
    `restricted` to the same region, or to the background; then the rest of the text reads no region either, so that
    nothing passes from one to another.
    """
    (mine, i_pixel), (theirs, j_pixel) = queries, keys
    share = mine.float() @ theirs.float().transpose(1, 2) > 0  # (batch, queries, keys)
    i_owned, j_owned = mine.any(-1)[:, :, None], theirs.any(-1)[:, None, :]
    i_pixel, j_pixel = i_pixel[None, :, None], j_pixel[None, None, :]
    restricted = torch.tensor(method.restricted)
    words = ~j_pixel & j_owned & (i_pixel | i_owned | restricted)
    own_pixels = j_pixel & ~i_pixel & i_owned
    other_pixels = restricted & j_pixel & ((i_pixel & (i_owned | j_owned)) | (~i_pixel & j_owned))
    bias = torch.zeros(share.shape)
    bias[share & i_pixel & ~j_pixel] = method.boost or 0.0
    bias[~share & (words | own_pixels | other_pixels)] = -torch.inf
    return bias


@contextmanager
def attend(
    backbone: Backbone,
    conditioning: Conditioning,
    regions: Sequence[Sequence[Region]],
    method: Regional,
    size: tuple[int, int],
) -> Iterator[RegionalAttention]:
    """Context manager: mask the backbone's attention; `regions[row]` are those of one row of the batch."""
    attention = RegionalAttention(backbone, conditioning, regions, method, size)
    with attention.mask.watch(backbone):
        yield attention


def _all(count: int) -> Bool[Tensor, " {count}"]:
    return torch.ones(count, dtype=torch.bool)


def _add_mask(bias: Tensor, mask: Tensor | None) -> Tensor:
    """The bias and the layer's own mask, which is additive or says what is read."""
    if mask is None:
        return bias
    return bias.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else bias + mask
