"""How an energy moves the latents: when, how far, how often, and when to stop.

There are two ways. *Before* a step, as published: the latents are moved down the energy's gradient up to `inner` times,
each time with a forward pass of its own. *After* a step: the forward pass that the step needs anyway also yields the
maps, and a backward pass through it moves the latents, so that a guided step costs one backward pass more than a plain
one. In both, no weight gets a gradient, and nothing is kept or computed for it beyond the last layer whose maps are
used.

Nothing here waits for a GPU, but for updates that may end early (`inner` above 1): energies, and which rows moved, stay
on the device and are written to the trace by `finish`.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from guidance.attention import Capture, capture_cross_attention, record_gradients
from guidance.backbones import Conditioning, UNetBackbone
from guidance.energies import RowEnergy
from guidance.interfaces import SchedulerMixin
from guidance.methods import Guidance
from guidance.noise_levels import NoiseLevel, is_within
from guidance.region_bias import RegionBias
from guidance.region_table import RegionTable
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
        bias: RegionBias,
        aspect: float,
        keep_maps: bool = False,
    ) -> None:
        self.backbone, self.conditioning, self.regions = backbone, conditioning, regions
        self.guidance, self.capture, self.bias, self.aspect = guidance, capture, bias, aspect
        self.table = RegionTable(regions, aspect)
        self.trace: list[StepTrace] = []
        self.keep_maps = keep_maps
        self.maps: list[list[Tensor]] = []  # [energy computation][row] (regions, h, w)
        self._pending: tuple[Tensor, Tensor] | None = None  # energies and gradient, for the update after this step
        self._reports: list[tuple[StepTrace, Tensor]] = []  # (3, batch): energies, what moved, what was not finite

    def update_before_step(self, latents: Latents, level: NoiseLevel, scheduler: SchedulerMixin) -> Latents:
        """The published way: up to `inner` updates, each with a forward pass of its own."""
        schedule = self.guidance.schedule
        self.trace.append(StepTrace(level.step, level.sigma))
        if self.guidance.energy is None or not (is_within(level, schedule.steps) and level.editable):
            return latents
        for number in range(schedule.inner):
            energies, gradient = self._compute_gradient(latents, level, scheduler)
            latents = self._update(latents, gradient, energies, level, level.latent_scale)
            if number + 1 < schedule.inner and not (energies > schedule.stop_below).any():
                break
        return latents

    def predict_noise(self, latents: Latents, level: NoiseLevel, scheduler: SchedulerMixin) -> Latents:
        """The noise prediction of this step; it leaves a gradient if the latents are to be updated after the step."""
        conditioning, schedule = self.conditioning, self.guidance.schedule
        biased = schedule.bias > 0 and is_within(level, schedule.bias_steps)
        levels = len(getattr(self.backbone.unet.config, "block_out_channels", ()))
        sizes = list_map_sizes(latents, levels) if biased else []
        needs_gradient = self.guidance.energy is not None and schedule.after_step and level.editable
        if not (needs_gradient and is_within(level, schedule.steps)):
            with self.bias.on(biased, conditioning.negative is not None, sizes), self._no_capture():
                return self.backbone.predict_noise(scheduler, latents, level.timestep, conditioning)
        with self.bias.on(biased, conditioning.negative is not None, sizes):
            return self._predict_with_gradient(latents, level, scheduler)

    def update_after_step(self, latents: Latents, level: NoiseLevel, after: NoiseLevel) -> Latents:
        """One update with the gradient of the step's own forward pass; `after` is the level of these latents.

        In the middle of a step that takes two calls, the update waits until the step is complete.
        """
        if self._pending is None or not after.editable:
            return latents
        (energies, gradient), self._pending = self._pending, None
        return self._update(latents, gradient, energies, level, after.latent_scale)

    def _predict_with_gradient(self, latents: Latents, level: NoiseLevel, scheduler: SchedulerMixin) -> Latents:
        """The prediction of the step, in one pass as ever; the gradient of the energy is left in `_pending`.

        Only the conditional half is captured, the last rows of the batch. The way back runs through both, as a GPU
        takes hardly longer for two rows than for one, and would take another forward pass for each half alone.
        """
        capture = self.capture
        capture.enabled, capture.rows = True, len(latents)
        with record_gradients():
            leaf = latents.detach().requires_grad_()
            noise = self.backbone.predict_noise(scheduler, leaf, level.timestep, self.conditioning)
        self._pending = self._backpropagate(leaf)
        return noise.detach()

    def _compute_gradient(
        self, latents: Latents, level: NoiseLevel, scheduler: SchedulerMixin
    ) -> tuple[Energies, Latents]:
        """(energies, gradient), by a forward pass that ends soon after the last map."""
        capture, conditioning = self.capture, self.conditioning
        capture.enabled, capture.rows = True, None
        with record_gradients(), self.backbone.end_after(capture.layers[-1]):
            leaf = latents.detach().requires_grad_()
            inputs = self.backbone.scale_inputs(scheduler, leaf, level.timestep)
            self.backbone.predict_raw(inputs, level.timestep, conditioning.positive, conditioning.added)
        return self._backpropagate(leaf)

    def _backpropagate(self, leaf: Latents) -> tuple[Energies, Latents]:
        """(energies, gradient in float32) from the captured maps to the latents that they were computed from."""
        with torch.enable_grad():
            maps = list(self.capture.maps.values())
            energies = self._compute_energies(maps)
            gradient = torch.zeros_like(leaf)  # of a constant energy, such as leaking with a single region
            if energies.requires_grad:
                (gradient,) = torch.autograd.grad(LOSS_SCALE * energies.sum(), leaf)
        if self.keep_maps:
            self.maps.append([self._average_maps([each[row] for each in maps], row) for row in range(len(leaf))])
        self.capture.clear()
        return energies.detach(), gradient.float() / LOSS_SCALE

    def _compute_energies(self, maps: Sequence[Tensor]) -> Energies:
        """The energy of each row; functions of a user take one row at a time."""
        energy = self.guidance.energy
        assert energy is not None
        if isinstance(energy, RowEnergy):
            return energy.of_rows(maps, self.table)
        rows = [
            energy([each[row : row + 1] for each in maps], regions, self.aspect) if regions else maps[0].new_zeros(())
            for row, regions in enumerate(self.regions)
        ]
        return torch.stack(rows)

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
        above, finite = energies > schedule.stop_below, step.isfinite().flatten(1).all(1)  # (batch,)
        moves = above & finite
        step = torch.where(moves.view(-1, 1, 1, 1), step, 0.0)
        self._reports.append((self.trace[-1], torch.stack([energies.float(), moves.float(), (~finite).float()])))
        return (latents.float() - step * latent_scale).to(latents.dtype)

    def finish(self) -> None:
        """Write energies and counts to the trace, all in one transfer. Warns of gradients that were not finite."""
        if not self._reports:
            return
        last: StepTrace | None = None
        notes, reports = zip(*self._reports, strict=True)
        for note, (energies, moved, lost) in zip(notes, torch.stack(reports).tolist(), strict=True):
            if not note.before:
                note.before = tuple(energies)
                if last is not None and last.step + 1 == note.step:
                    last.after = tuple(energies)
            note.after, last = tuple(energies), note
            note.updates = _add_counts(note.updates, moved)
            note.not_finite = _add_counts(note.not_finite, lost)
        self._reports.clear()
        if count := sum(any(note.not_finite) for note in self.trace):
            warnings.warn(
                f"The gradient was not finite at {count} of {len(self.trace)} steps, which moved nothing; draw in "
                "bfloat16 or float32.",
                stacklevel=2,
            )

    @contextmanager
    def _no_capture(self) -> Iterator[None]:
        """Context manager: capture no maps inside the block."""
        self.capture.enabled = False
        try:
            yield
        finally:
            self.capture.enabled = True


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
    bias = RegionBias(regions, conditioning.positive, guidance.schedule.bias, aspect)
    used = bias if guidance.schedule.bias > 0 else None
    capturing = capture_cross_attention(backbone.unet, layers, bias=used, detach_at_last_map=True)
    with freeze_weights(backbone.unet), capturing as capture:
        yield Steering(backbone, conditioning, regions, guidance, capture, bias, aspect, keep_maps)


def list_map_sizes(latents: Latents, levels: int) -> list[int]:
    """Pixels of the maps at each level of a UNet; every level halves the sides, rounded up."""
    h, w = latents.shape[2:]
    return [-(-h // 2**level) * -(-w // 2**level) for level in range(levels)]


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


def _add_counts(counts: tuple[int, ...], more: Sequence[float]) -> tuple[int, ...]:
    return tuple(a + int(b) for a, b in zip(counts or (0,) * len(more), more, strict=True))
