"""What guidance costs at the true size of Stable Diffusion, counted on torch's "meta" device: no weights, no GPU.

    python -m experiments.bench guidance launches      # how often a picture makes a GPU start a kernel
    python -m experiments.bench guidance arithmetic    # operations, and the memory that an update keeps

Steps are counted as they run, with `guidance.steering`; a picture is computed from its plain, biased and guided steps
by the schedule of the method, with the maximum number of updates. Attention is fused, as it is on a GPU.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

from audiotoken.tables import markdown_table
from experiments.benchmarks.launches import CountLaunches, FusedAttention
from guidance.backbones import Conditioning, UNetBackbone
from guidance.methods import ENERGY_METHODS, Guidance, Schedule
from guidance.noise_levels import get_noise_level
from guidance.regions import Region
from guidance.steering import steer

STEPS, TOKENS = 50, 77
UNETS: dict[str, dict[str, Any]] = {  # as in the config files of the checkpoints
    "sd1": {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8},
    "sdxl": {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": [1, 2, 10],
        "attention_head_dim": [5, 10, 20],
        "use_linear_projection": True,
        "cross_attention_dim": 2048,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
TITLES = {"sd1": "Stable Diffusion 1.5, 512 x 512", "sdxl": "Stable Diffusion XL, 1024 x 1024"}
KINDS = {"own": -1, "guided": 1, "biased": 2, "plain": 10}  # of steps, with the number of one
METHODS = ("combined", "centroid", "boxdiff", "layout", "forward")


@dataclass(frozen=True)
class Cost:
    """Of a step. `kept`: bytes that autograd keeps for the way back, in float32."""

    launches: int
    flops: int
    kept: int

    def __sub__(self, other: "Cost") -> "Cost":
        return Cost(self.launches - other.launches, self.flops - other.flops, self.kept - other.kept)


@dataclass(frozen=True)
class Costs:
    """Of a method: a step of the pipeline's own, a step that is not guided, one with a bias, what an update adds.

    Each is a `Cost`, or has another field to compute pictures from.
    """

    own: Any
    plain: Any
    biased: Any
    update: Any
    schedule: Schedule

    @property
    def updates(self) -> int:
        """At most, of a picture."""
        schedule = self.schedule
        return _count(schedule.steps) * max(schedule.inner, int(schedule.after_step))

    def of_picture(self, name: str) -> float:
        """Of all steps; name: of a field."""
        biased = _count(self.schedule.bias_steps) if self.schedule.bias else 0
        plain, with_bias, update = (getattr(each, name) for each in (self.plain, self.biased, self.update))
        return (STEPS - biased) * plain + biased * with_bias + self.updates * update

    def ratio(self, name: str) -> float:
        """Of a picture, to one without guidance."""
        return self.of_picture(name) / (STEPS * getattr(self.own, name))


def count_method(
    backbone: UNetBackbone, guidance: Guidance, regions: int = 2, known: Mapping[str, Cost] | None = None
) -> Costs:
    """Count a plain, a biased and a guided step, but for those that are `known`; the masks of the run are there."""
    weights = {weight.untyped_storage()._cdata for weight in backbone.unet.parameters()}
    kinds, inputs = [kind for kind in KINDS if kind not in (known or {})], make_inputs(backbone)
    with FusedAttention():
        found = measure_steps(backbone, guidance, regions, inputs, partial(measure_cost, weights), kinds)
    found |= known or {}
    return Costs(found["own"], found["plain"], found["biased"], found["guided"] - found["biased"], guidance.schedule)


@torch.no_grad()
def measure_steps(
    backbone: UNetBackbone,
    guidance: Guidance,
    regions: int,
    inputs: tuple[Conditioning, torch.Tensor],
    measure: Callable[..., Any],
    kinds: Sequence[str],
) -> dict[str, Any]:
    """What `measure(run, *args)` says of a step of each kind.

    "own" is one of the pipeline's own, without capture; it comes first. The others follow a guided step that is not
    measured.
    """
    conditioning, latents = inputs
    rows = [[Region((i / 16, 0.1, i / 16 + 0.5, 0.9), (i + 1,)) for i in range(regions)]]
    once = replace(guidance.schedule, inner=min(1, guidance.schedule.inner), stop_below=0.0, steps=2, bias_steps=4)
    scheduler: Any = backbone.make_scheduler(STEPS)
    timestep = torch.zeros((), device=latents.device, dtype=torch.int64)
    found = {}
    if "own" in kinds:
        found["own"] = measure(backbone.predict_noise, scheduler, latents, timestep, conditioning)
    with steer(backbone, conditioning, rows, replace(guidance, schedule=once), 1.0) as steering:

        def step(number: int) -> None:
            level, after = (get_noise_level(scheduler, number + i, timestep) for i in range(2))
            moved = steering.update_before_step(latents, level, scheduler)
            noise = steering.predict_noise(moved, level, scheduler)
            stepped = scheduler.step(noise, scheduler.timesteps[number], moved, return_dict=False)[0]
            steering.update_after_step(stepped, level, after)

        step(0)
        return found | {kind: measure(step, KINDS[kind]) for kind in kinds if kind != "own"}


def measure_cost(weights: set[int], run: Callable[..., Any], *args: Any) -> Cost:
    """Launches, operations and memory of one call; weights are not counted as kept."""
    kept: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = 0 if storage._cdata in weights else storage.nbytes()
        return tensor

    with CountLaunches() as counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run(*args)
    return Cost(counter.total, counter.flops, sum(kept.values()))


def make_backbone(geometry: str) -> UNetBackbone:
    """The UNet of a geometry without weights; there is no other part."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**UNETS[geometry]).eval().requires_grad_(False)
    parts = {"unet": unet, "scheduler": DDIMScheduler(), "config": {}, "_execution_device": torch.device("meta")}
    return UNetBackbone(SimpleNamespace(**parts, **({"text_encoder_2": None} if geometry == "sdxl" else {})))


def make_inputs(backbone: UNetBackbone) -> tuple[Conditioning, torch.Tensor]:
    """(conditioning of one picture under classifier-free guidance, its latents), without data."""
    config = backbone.unet.config
    with torch.device("meta"):
        prompt = torch.empty(1, TOKENS, config.cross_attention_dim)
        added = {"text_embeds": torch.empty(1, 1280), "time_ids": torch.empty(1, 6)} if backbone.is_xl else {}
        latents = torch.empty(1, config.in_channels, config.sample_size, config.sample_size)
    return Conditioning(prompt, prompt, added, added, 7.5), latents


def tabulate_launches(geometry: str, regions: Sequence[int] = (1, 8), methods: Sequence[str] = METHODS) -> str:
    """Markdown: launches of each kind of step, and of a picture in relation to a plain one by number of regions."""
    backbone, rows = make_backbone(geometry), []
    known: dict[str, Cost] = {}  # what does not depend on the regions; a pass takes seconds, as "meta" is Python
    for method in methods:
        counts = regions if ENERGY_METHODS[method].energy is not None else regions[:1]
        costs = []
        for count in counts:
            costs.append(count_method(backbone, ENERGY_METHODS[method], count, known))
            known = {"own": costs[0].own, "plain": costs[0].plain, "biased": costs[0].biased}
        known = {"own": costs[0].own}
        ratios = [f"{each.ratio('launches'):.2f}" for each in costs]
        last = costs[-1]
        kinds = [last.own, last.biased, last.update]
        cells = [method, str(last.updates), *(str(each.launches) for each in kinds), *ratios]
        rows.append(cells + [""] * (5 + len(regions) - len(cells)))
    heads = ["method", "updates", "plain step", "biased step", "added by an update"]
    heads += [f"x plain, {count} region{'s' * (count > 1)}" for count in regions]
    return f"{TITLES[geometry]}, {STEPS} steps\n\n{markdown_table(heads, rows)}"


def tabulate_arithmetic(geometry: str, methods: Sequence[str] = METHODS[:4]) -> str:
    """Markdown: operations of the denoiser, and what an update keeps for its way back, in half precision."""
    backbone, rows = make_backbone(geometry), []
    for method in methods:
        costs = count_method(backbone, ENERGY_METHODS[method])
        flops = [costs.plain.flops, costs.update.flops, costs.of_picture("flops")]
        kept = math.ceil(costs.update.kept / 2 / 2**20)
        cells = [*(f"{each / 1e12:.3g}" for each in flops), f"{costs.ratio('flops'):.2f}", str(kept)]
        rows.append([method, str(costs.updates), *cells])
    heads = ["method", "updates", "TFLOP of a plain step", "TFLOP of an update", "TFLOP a picture", "x plain"]
    return f"{TITLES[geometry]}, {STEPS} steps\n\n{markdown_table([*heads, 'kept by an update, MiB'], rows)}"


def _count(steps: int | float) -> int:
    """As `guidance.noise_levels.is_within` counts them."""
    return math.ceil(steps * STEPS) if 0 < steps < 1 else min(int(steps), STEPS)
