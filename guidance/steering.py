"""How an energy moves the latents: when, how far, how often, and when to stop.

There are two ways. *Before* a step, as published: the latents are moved down the energy's gradient up to `inner` times,
each time with a forward pass of its own. *After* a step: the forward pass that the step needs anyway also yields the
maps, and a backward pass through it moves the latents, so that a guided step costs one backward pass more than a plain
one. In both, no weight gets a gradient, and nothing is kept or computed for it beyond the last layer whose maps are
used.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from guidance.attention import Capture, capture_cross_attention, record_gradients
from guidance.backbones import Conditioning, UNetBackbone
from guidance.interfaces import SchedulerMixin
from guidance.methods import Guidance
from guidance.noise_levels import NoiseLevel, is_within
from guidance.regions import Region, map_shape
from guidance.trace import StepTrace

LOSS_SCALE = 1024.0  # half precision rounds small gradients to nothing

Latents = Float[Tensor, "batch channels h w"]
Energies = Float[Tensor, " batch"]


class Steering:
    """The guidance of one run; made by `steer`."""

    def __init__(
        self,
        backbone: UNetBackbone,
        conditioning: Conditioning,
        regions: Sequence[Sequence[Region]],
        guidance: Guidance,
        capture: Capture,
        aspect: float,
        keep_maps: bool = False,
    ) -> None:
        self.backbone, self.conditioning, self.regions = backbone, conditioning, regions
        self.guidance, self.capture, self.aspect = guidance, capture, aspect
        self.trace: list[StepTrace] = []
        self.keep_maps = keep_maps
        self.maps: list[list[Tensor]] = []  # [energy computation][row] (regions, h, w)
        self._pending: tuple[Tensor, Tensor] | None = None  # energies and gradient, for the update after this step
        self._biases: dict[tuple[int, bool], Tensor] = {}

    def update_before_step(self, latents: Latents, level: NoiseLevel, scheduler: SchedulerMixin) -> Latents:
        """The published way: up to `inner` updates, each with a forward pass of its own."""
        schedule = self.guidance.schedule
        self.trace.append(StepTrace(level.step, level.sigma))
        if self.guidance.energy is None or not (is_within(level, schedule.steps) and level.editable):
            return latents
        for _ in range(schedule.inner):
            energies, gradient = self._compute_gradient(latents, level, scheduler)
            self._record_energies(energies)
            if not (energies > schedule.stop_below).any():
                break
            latents = self._update(latents, gradient, energies, level, level.latent_scale)
        return latents

    def predict_noise(self, latents: Latents, level: NoiseLevel, scheduler: SchedulerMixin) -> Latents:
        """The noise prediction of this step; it leaves a gradient if the latents are to be updated after the step."""
        conditioning, schedule = self.conditioning, self.guidance.schedule
        biased = schedule.bias > 0 and is_within(level, schedule.bias_steps)
        needs_gradient = self.guidance.energy is not None and schedule.after_step and level.editable
        if not (needs_gradient and is_within(level, schedule.steps)):
            with self._attention_bias(biased, conditioning.negative is not None), self._no_capture():
                return self.backbone.predict_noise(scheduler, latents, level.timestep, conditioning)
        with self._attention_bias(biased, False):
            conditional = self._predict_with_gradient(latents, level, scheduler)
        if conditioning.negative is None:
            return conditional
        with self._no_capture():
            inputs = self.backbone.scale_inputs(scheduler, latents, level.timestep)
            unconditional = self.backbone.predict_raw(
                inputs, level.timestep, conditioning.negative, conditioning.negative_added
            )
        return unconditional + conditioning.guidance_scale * (conditional - unconditional)

    def update_after_step(self, latents: Latents, level: NoiseLevel, after: NoiseLevel) -> Latents:
        """One update with the gradient of the step's own forward pass; `after` is the level of these latents.

        In the middle of a step that takes two calls, the update waits until the step is complete.
        """
        if self._pending is None or not after.editable:
            return latents
        (energies, gradient), self._pending = self._pending, None
        self._record_energies(energies)
        return self._update(latents, gradient, energies, level, after.latent_scale)

    def _predict_with_gradient(self, latents: Latents, level: NoiseLevel, scheduler: SchedulerMixin) -> Latents:
        """The conditional prediction; the gradient of the energy is left in `_pending`."""
        capture, conditioning = self.capture, self.conditioning
        capture.enabled, capture.detach_at_last_map, capture.stop_at_last_map = True, True, False
        with record_gradients():
            leaf = latents.detach().requires_grad_()
            inputs = self.backbone.scale_inputs(scheduler, leaf, level.timestep)
            conditional = self.backbone.predict_raw(inputs, level.timestep, conditioning.positive, conditioning.added)
        self._pending = self._backpropagate(leaf)
        return conditional.detach()

    def _compute_gradient(
        self, latents: Latents, level: NoiseLevel, scheduler: SchedulerMixin
    ) -> tuple[Energies, Latents]:
        """(energies, gradient), by a forward pass that ends at the last map."""
        capture, conditioning = self.capture, self.conditioning
        capture.enabled, capture.stop_at_last_map = True, True
        with record_gradients():
            leaf = latents.detach().requires_grad_()
            inputs = self.backbone.scale_inputs(scheduler, leaf, level.timestep)
            self.backbone.predict_raw(inputs, level.timestep, conditioning.positive, conditioning.added)
        return self._backpropagate(leaf)

    def _backpropagate(self, leaf: Latents) -> tuple[Energies, Latents]:
        """(energies, gradient in float32) from the captured maps to the latents that they were computed from."""
        with torch.enable_grad():
            maps = list(self.capture.maps.values())
            energies = torch.stack([self._row_energy(maps, row) for row in range(len(leaf))])
            gradient = torch.zeros_like(leaf)  # of a constant energy, such as leaking with a single region
            if energies.requires_grad:
                (gradient,) = torch.autograd.grad(LOSS_SCALE * energies.sum(), leaf)
        if self.keep_maps:
            self.maps.append([self._average_maps([each[row] for each in maps], row) for row in range(len(leaf))])
        self.capture.clear()
        return energies.detach(), gradient.float() / LOSS_SCALE

    def _row_energy(self, maps: Sequence[Tensor], row: int) -> Float[Tensor, ""]:
        if not self.regions[row]:
            return maps[0].new_zeros(())
        assert self.guidance.energy is not None
        return self.guidance.energy([each[row : row + 1] for each in maps], self.regions[row], self.aspect)

    def _average_maps(
        self, maps: Sequence[Float[Tensor, "_heads _pixels tokens"]], row: int
    ) -> Float[Tensor, "regions h w"]:
        """Mean over heads, tokens of a region and layers, at the resolution of the finest layer."""
        finest = map_shape(max(each.shape[1] for each in maps), self.aspect)
        averages = []
        for region in self.regions[row]:
            means = [each.detach()[..., list(region.positions)].mean((0, 2)) for each in maps]
            grids = [mean.view(1, 1, *map_shape(len(mean), self.aspect)) for mean in means]
            averages.append(torch.cat([F.interpolate(g, finest, mode="bilinear") for g in grids]).mean((0, 1)))
        return torch.stack(averages) if averages else torch.zeros(0, *finest)

    def _update(
        self, latents: Latents, gradient: Latents, energies: Energies, level: NoiseLevel, latent_scale: float
    ) -> Latents:
        """latents -= strength (1 - alpha_bar) gradient, in latents of unit variance; rows below `stop_below` stay.

        The gradient was taken at `level`, with respect to latents of scale `level.latent_scale`; the latents to move
        have the scale `latent_scale`.
        """
        schedule = self.guidance.schedule
        step = schedule.strength * level.noise_variance * gradient * level.latent_scale  # of unit variance
        rms = step.square().mean((1, 2, 3), keepdim=True).sqrt()
        step = step * (schedule.max_update_rms / rms.clamp(min=1e-12)).clamp(max=1)
        moves = (energies > schedule.stop_below) & step.isfinite().flatten(1).all(1)  # (batch,)
        step = torch.where(moves.view(-1, 1, 1, 1), step, 0.0)
        trace = self.trace[-1]
        trace.updates = tuple(a + int(b) for a, b in zip(trace.updates or (0,) * len(step), moves, strict=True))
        return (latents.float() - step * latent_scale).to(latents.dtype)

    def _record_energies(self, energies: Energies) -> None:
        """Write them to the trace of this step, and to that of the step before as the energy after it."""
        values, trace = tuple(energies.tolist()), self.trace[-1]
        if not trace.before:
            trace.before = values
            if len(self.trace) > 1 and self.trace[-2].before:
                self.trace[-2].after = values
        trace.after = values

    @contextmanager
    def _no_capture(self) -> Iterator[None]:
        """Context manager: capture no maps inside the block."""
        self.capture.enabled = False
        try:
            yield
        finally:
            self.capture.enabled = True

    @contextmanager
    def _attention_bias(self, on: bool, both_halves: bool) -> Iterator[None]:
        """Context manager: bias attention towards the regions inside the block.

        both_halves: the batch holds the unconditional half too, which comes first and is not biased.
        """
        if on:
            self.capture.bias = lambda pixels: self._bias(pixels, both_halves)
        try:
            yield
        finally:
            self.capture.bias = None

    def _bias(self, pixels: int, both_halves: bool) -> Float[Tensor, "batch {pixels} tokens"]:
        """Positive inside and negative outside the region, for the region's tokens; 0 for all other tokens."""
        if (pixels, both_halves) not in self._biases:
            h, w = map_shape(pixels, self.aspect)
            batch, tokens = self.conditioning.positive.shape[:2]
            bias = torch.zeros(batch, pixels, tokens)
            for row, regions in enumerate(self.regions):
                for region in regions:
                    sign = 2 * region.cover(h, w).flatten() - 1
                    for at in region.positions:
                        bias[row, :, at] = self.guidance.schedule.bias * sign
            bias = torch.cat([torch.zeros_like(bias), bias]) if both_halves else bias
            self._biases[pixels, both_halves] = bias.to(self.conditioning.positive)
        return self._biases[pixels, both_halves]


@contextmanager
def steer(
    backbone: UNetBackbone,
    conditioning: Conditioning,
    regions: Sequence[Sequence[Region]],
    guidance: Guidance,
    aspect: float,
    keep_maps: bool = False,
) -> Iterator[Steering]:
    """Context manager: capture the backbone's cross-attention; `regions[row]` are those of one row of the batch."""
    layers = () if guidance.energy is None else backbone.select_layers(guidance.layers)
    with freeze_weights(backbone.unet), capture_cross_attention(backbone.unet, layers) as capture:
        yield Steering(backbone, conditioning, regions, guidance, capture, aspect, keep_maps)


@contextmanager
def freeze_weights(module: torch.nn.Module) -> Iterator[None]:
    """Context manager: turn off the gradients of all weights, so that none is computed or kept."""
    trainable = [weight for weight in module.parameters() if weight.requires_grad]
    try:
        for weight in trainable:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in trainable:
            weight.requires_grad_(True)
