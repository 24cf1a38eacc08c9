"""How an energy moves the latents: when, how far, how often, and when it is enough.

Two ways. *Before* a step, as published: the latents are moved down the energy's gradient up to `inner` times, each time
with a forward of its own. *On the way*, ours: the forward that a step needs anyway also gives the maps; a way back
through it moves the latents after the step, so that a guided step costs one backward more than a plain one. In both,
no weight gets a gradient, and nothing is kept or computed for it beyond the last layer whose maps are used.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from guidance.attention import Capture, capture_cross_attention, recording
from guidance.backbones import Backbone, Condition
from guidance.levels import Level
from guidance.methods import Guidance
from guidance.regions import Region, shape_of

LOSS_SCALE = 1024.0  # half precision rounds small gradients to nothing


@dataclass
class StepTrace:
    """What happened at a step; tuples have an entry a row, and are empty where nobody looked."""

    step: int
    sigma: float  # noise over signal
    before: tuple[float, ...] = ()  # energy, before any update of this step
    after: tuple[float, ...] = ()  # energy at the next look: before the last update of this step, or at the next step
    updates: tuple[int, ...] = ()  # made


class Steering:
    """The guidance of one run; made by `steering`."""

    def __init__(
        self,
        backbone: Backbone,
        condition: Condition,
        regions: Sequence[Sequence[Region]],
        guidance: Guidance,
        capture: Capture,
        aspect: float,
        keep_maps: bool = False,
    ):
        self.backbone, self.condition, self.regions = backbone, condition, regions
        self.guidance, self.capture, self.aspect = guidance, capture, aspect
        self.notes: list[StepTrace] = []
        self.keep_maps = keep_maps
        self.kept: list[list[Tensor]] = []  # [look][row] (regions, h, w): what the words of each region get
        self._gradient: tuple[Tensor, Tensor] | None = None  # (energies, gradient) of the step that is going on
        self._biases: dict[tuple[int, bool], Tensor] = {}

    def refine(self, latents: Tensor, level: Level, scheduler: Any) -> Tensor:
        """The published way: before a step."""
        schedule = self.guidance.schedule
        self.notes.append(StepTrace(level.step, level.sigma))
        if self.guidance.energy is None or not (self._guided(level, schedule.steps) and level.editable):
            return latents
        for _ in range(schedule.inner):
            energies, gradient = self._look(latents, level, scheduler)
            self._write(energies)
            if not (energies > schedule.stop_below).any():
                break
            latents = self._move(latents, gradient, energies, level, level.latent_scale)
        return latents

    def predict_noise(self, latents: Tensor, level: Level, scheduler: Any) -> Tensor:
        """What the denoiser says; where ours is on, its forward also leaves a gradient."""
        condition, schedule = self.condition, self.guidance.schedule
        biased = schedule.bias > 0 and self._guided(level, schedule.bias_steps)
        looked = self.guidance.energy is not None and schedule.after_step and level.editable
        if not (looked and self._guided(level, schedule.steps)):
            with self._attention_bias(biased, condition.negative is not None), self._no_capture():
                return self.backbone.predict_noise(scheduler, latents, level.timestep, condition)
        with self._attention_bias(biased, False):
            told = self._watched(latents, level, scheduler)
        if condition.negative is None:
            return told
        with self._no_capture():
            inputs = scheduler.scale_model_input(latents, level.timestep)
            without = self.backbone.predict_raw(inputs, level.timestep, condition.negative, condition.negative_added)
        return without + condition.scale * (told - without)

    def move(self, latents: Tensor, level: Level, after: Level) -> Tensor:
        """After a step, with the gradient of its forward; `after` is where the latents are now."""
        if self._gradient is None or not after.editable:  # in the middle of a step of two calls: when it is whole
            return latents
        (energies, gradient), self._gradient = self._gradient, None
        self._write(energies)
        return self._move(latents, gradient, energies, level, after.latent_scale)

    def _guided(self, level: Level, steps: float) -> bool:
        return level.step < (steps * level.count if 0 < steps < 1 else steps)

    def _watched(self, latents: Tensor, level: Level, scheduler: Any) -> Tensor:
        """The conditional half, with a gradient of the energy left in `_gradient`."""
        capture, condition = self.capture, self.condition
        capture.on, capture.cut, capture.stop = True, True, False
        with recording():
            moved = latents.detach().requires_grad_()
            inputs = scheduler.scale_model_input(moved, level.timestep)
            told = self.backbone.predict_raw(inputs, level.timestep, condition.positive, condition.added)
        self._gradient = self._back(moved)
        return told.detach()

    def _look(self, latents: Tensor, level: Level, scheduler: Any) -> tuple[Tensor, Tensor]:
        """(energies (batch,), gradient) by a forward that ends at the last map."""
        capture, condition = self.capture, self.condition
        capture.on, capture.stop = True, True
        with recording():
            moved = latents.detach().requires_grad_()
            inputs = scheduler.scale_model_input(moved, level.timestep)
            self.backbone.predict_raw(inputs, level.timestep, condition.positive, condition.added)
        return self._back(moved)

    def _back(self, moved: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            maps = list(self.capture.maps.values())
            energies = torch.stack([self._energy(maps, row) for row in range(len(moved))])
            gradient = torch.zeros_like(moved)  # of an energy that has nothing to say, such as leaking of one region
            if energies.requires_grad:
                (gradient,) = torch.autograd.grad(LOSS_SCALE * energies.sum(), moved)
        if self.keep_maps:
            self.kept.append([self._shown([each[row] for each in maps], row) for row in range(len(moved))])
        self.capture.clear()
        return energies.detach(), gradient.float() / LOSS_SCALE

    def _energy(self, maps: Sequence[Tensor], row: int) -> Tensor:
        if not self.regions[row]:
            return maps[0].new_zeros(())
        assert self.guidance.energy is not None
        return self.guidance.energy([each[row : row + 1] for each in maps], self.regions[row], self.aspect)

    def _shown(self, maps: Sequence[Tensor], row: int) -> Tensor:
        """Maps (heads, pixels, tokens) -> (regions, h, w): the mean over heads, tokens and layers, as fine as any."""
        finest = shape_of(max(each.shape[1] for each in maps), self.aspect)
        shown = []
        for region in self.regions[row]:
            each = [m.detach()[..., list(region.positions)].mean((0, 2)) for m in maps]
            grids = [m.view(1, 1, *shape_of(len(m), self.aspect)) for m in each]
            shown.append(torch.cat([F.interpolate(g, finest, mode="bilinear") for g in grids]).mean((0, 1)))
        return torch.stack(shown) if shown else torch.zeros(0, *finest)

    def _move(self, latents: Tensor, gradient: Tensor, energies: Tensor, level: Level, latent_scale: float) -> Tensor:
        """latents -= strength (1 - alpha_bar) gradient, in latents of unit variance; rows that are good stay.

        The gradient was taken at `level`, by latents `level.latent_scale` times as large; those to move are
        `latent_scale` times.
        """
        schedule = self.guidance.schedule
        step = schedule.strength * level.noise * gradient * level.latent_scale  # (batch, channels, h, w), unit variance
        length = step.square().mean((1, 2, 3), keepdim=True).sqrt()
        step = step * (schedule.max_update_rms / length.clamp(min=1e-12)).clamp(max=1)
        wanted = (energies > schedule.stop_below) & step.isfinite().flatten(1).all(1)
        step = torch.where(wanted.view(-1, 1, 1, 1), step, 0.0)
        note = self.notes[-1]
        note.updates = tuple(a + int(b) for a, b in zip(note.updates or (0,) * len(step), wanted, strict=True))
        return (latents.float() - step * latent_scale).to(latents.dtype)

    def _write(self, energies: Tensor) -> None:
        """`after` is the energy at the next look: after the last update, or at the next step."""
        seen, note = tuple(energies.tolist()), self.notes[-1]
        if not note.before:
            note.before = seen
            if len(self.notes) > 1 and self.notes[-2].before:
                self.notes[-2].after = seen
        note.after = seen

    @contextmanager
    def _no_capture(self) -> Iterator[None]:
        """No maps are kept inside."""
        self.capture.on = False
        yield
        self.capture.on = True

    @contextmanager
    def _attention_bias(self, on: bool, both: bool) -> Iterator[None]:
        """Inside, attention leans towards the regions; `both` halves are in the batch, the first is left alone."""
        if on:
            self.capture.bias = lambda pixels: self._bias(pixels, both)
        yield
        self.capture.bias = None

    def _bias(self, pixels: int, both: bool) -> Tensor:
        """(batch, pixels, tokens): up inside, down outside, at the tokens of a region."""
        if (pixels, both) not in self._biases:
            h, w = shape_of(pixels, self.aspect)
            batch, tokens = self.condition.positive.shape[:2]
            bias = torch.zeros(batch, pixels, tokens)
            for row, regions in enumerate(self.regions):
                for region in regions:
                    lean = 2 * region.cover(h, w).flatten() - 1
                    for at in region.positions:
                        bias[row, :, at] = self.guidance.schedule.bias * lean
            bias = torch.cat([torch.zeros_like(bias), bias]) if both else bias
            self._biases[pixels, both] = bias.to(self.condition.positive)
        return self._biases[pixels, both]


@contextmanager
def steering(
    backbone: Backbone,
    condition: Condition,
    regions: Sequence[Sequence[Region]],
    guidance: Guidance,
    aspect: float,
    keep_maps: bool = False,
) -> Iterator[Steering]:
    """While open, the backbone's attention is watched; `regions[row]` are those of a row of the batch."""
    layers = () if guidance.energy is None else backbone.layers(guidance.layers)
    with frozen(backbone.unet), capture_cross_attention(backbone.unet, layers) as capture:
        yield Steering(backbone, condition, regions, guidance, capture, aspect, keep_maps)


@contextmanager
def frozen(module: torch.nn.Module) -> Iterator[None]:
    """While open, no weight takes a gradient, so that nothing is kept for one."""
    learning = [weight for weight in module.parameters() if weight.requires_grad]
    try:
        for weight in learning:
            weight.requires_grad_(False)
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)
