"""Train a small Stable Diffusion UNet and its CLIP text model together, on the painted world.

    python -m experiments.world.training.train_unet --out runs/mini --steps 2700 --batch 24  # resumes

Uses v-prediction, min-SNR weights (Hang et al., arXiv 2303.09556), triple weight on objects, Muon and EMA; scenes with
a single object come first. The attention maps of the nouns are supervised with the masks of their own and of the other
objects, because a word that attends to its own object can be steered later.
"""

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from experiments.world.captions import LENGTH, caption, noun_positions, tokenizer_of, word_ids
from experiments.world.scenes import Painter
from experiments.world.training import workers
from experiments.world.training.latents import FIRST_SEED, Latents, fresh, load_cache, load_vae
from experiments.world.training.workers import Ema, Log, Worker

WIDTH = 128  # size of a token
WIDTHS = (64, 128, 192)  # channels of the UNet at 16x16, 8x8 and 4x4
DROP = 0.1  # share of captions dropped, for classifier-free guidance
SINGLES = 0.25  # share of steps with single objects only
ATTENTION = 0.02  # weight of each attention term


def build_unet() -> UNet2DConditionModel:
    """8.8 M parameters; the 4x4 level costs little and makes pictures more consistent, with fewer duplicates."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=8,
        out_channels=8,
        block_out_channels=WIDTHS,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        attention_head_dim=4,  # number of heads, not their size: an old misnomer in diffusers
        norm_num_groups=16,
    )


def build_text_model(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel._from_config(config, attn_implementation="eager")


def build_scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


class PlainAttention:
    """Unfused attention for training, because on a CPU the fused kernel's backward pass takes a third of a step.

    With `keep`, stores the head-averaged map (batch, pixels, tokens).
    """

    def __init__(self, keep: bool):
        self.keep = keep
        self.map: Tensor | None = None

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        def heads(x: Tensor) -> Tensor:  # (batch, length, width) -> (batch, heads, length, width / heads)
            return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)

        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key = heads(attn.to_q(hidden_states)), heads(attn.to_k(context))
        weights = (query @ key.transpose(-1, -2) * attn.scale).softmax(-1)  # float32 under autocast
        if self.keep:
            self.map = weights.mean(1)
        output = weights.to(query.dtype) @ heads(attn.to_v(context))
        return attn.to_out[0](output.transpose(1, 2).flatten(2))


def install_attention(unet: UNet2DConditionModel) -> list[PlainAttention]:
    """Replace every attention by PlainAttention, and keep the maps of the cross-attention in the up blocks."""
    processors = {n: PlainAttention(n.startswith("up_blocks") and "attn2" in n) for n in unet.attn_processors}
    unet.set_attn_processor(dict(processors))  # a copy, because the method empties it
    return [p for p in processors.values() if p.keep]


def attention_losses(maps: Tensor, masks: Tensor, positions: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """How much the nouns attend outside their objects: (inside, own).

    maps (batch, pixels, tokens), masks (batch, slots, 16, 16) in [0, 1], positions (batch, slots; -1 is empty), weight
    (batch,). `inside` is -log of the share of a noun's map that lies on its object. `own` is -log of the noun's share
    among all nouns of the scene, on its object. Without `own`, a layer learns "some object" instead of "this object".
    """
    side = round(maps.shape[1] ** 0.5)
    masks = F.adaptive_avg_pool2d(masks, side).flatten(2)  # (batch, slots, pixels)
    present = positions >= 0
    same = (positions[:, :, None] == positions[:, None]) & present[:, None]  # equal words share their masks
    masks = torch.einsum("bst,btp->bsp", same.float(), masks)
    index = positions.clamp(min=0)[:, None].expand(-1, maps.shape[1], -1)
    nouns = maps.gather(2, index).transpose(1, 2) * present[..., None]  # (batch, slots, pixels)
    first = present & (torch.tril(same, -1).sum(-1) == 0)  # count each word once
    counted = first.float() * weight[:, None]
    inside = (nouns * masks).sum(-1) / (nouns.sum(-1) + 1e-6)
    rivals = (nouns * first[..., None]).sum(1, keepdim=True)
    own = -((nouns + 1e-5) / (rivals + 1e-5)).clamp(max=1).log()
    own = (own * masks).sum(-1) / (masks.sum(-1) + 1e-3)
    total = counted.sum().clamp(min=1e-3)
    return (-(inside + 1e-3).log() * counted).sum() / total, (own * counted).sum() / total


@dataclass(frozen=True, eq=False)
class Batch:
    latents: Tensor  # (batch, 8, 16, 16), scaled
    masks: Tensor  # (batch, 4, 16, 16) in [0, 1]
    ids: Tensor  # (batch, 77)
    positions: Tensor  # (batch, 4)


class Writer:
    """Scenes -> batches, with a new caption every time a scene is used."""

    def __init__(self, tokenizer: CLIPTokenizer, scale: float, device: torch.device):
        self.tokenizer, self.scale, self.device = tokenizer, scale, device
        self.word_ids = word_ids(tokenizer)

    def __call__(self, scenes: Latents, rng: random.Random) -> Batch:
        kinds = scenes.kinds.tolist()
        drop = [rng.random() < DROP for _ in kinds]
        texts = [
            "" if d else caption(k, b, rng) for k, b, d in zip(kinds, scenes.backdrops.tolist(), drop, strict=True)
        ]
        ids = self.tokenizer(texts, padding="max_length", truncation=True).input_ids
        positions = [
            [-1] * len(k) if d else noun_positions(i, k, self.word_ids)
            for i, k, d in zip(ids, kinds, drop, strict=True)
        ]
        return Batch(
            scenes.latents.to(self.device).float() * self.scale,
            scenes.masks.to(self.device).float() / 255,
            torch.tensor(ids, device=self.device),
            torch.tensor(positions, device=self.device),
        )


def step_losses(
    model: nn.ModuleDict,
    readers: list[PlainAttention],
    scheduler: DDIMScheduler,
    batch: Batch,
    generator: torch.Generator,
    even: bool = False,
) -> dict[str, Tensor]:
    latents, count = batch.latents, len(batch.latents)
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    t = ((torch.arange(count) + torch.rand(count, generator=generator)) / count * 1000).long().clamp(max=999)
    t = t[torch.randperm(count, generator=generator)].to(
        latents.device
    )  # stratified: every batch covers all noise levels
    alpha_bar = scheduler.alphas_cumprod.to(latents.device)[t]
    snr = alpha_bar / (1 - alpha_bar)
    noisy = scheduler.add_noise(latents, noise, t).contiguous(memory_format=torch.channels_last)
    target = scheduler.get_velocity(latents, noise, t)
    text = model["text"](batch.ids).last_hidden_state
    output = model["unet"](noisy, t, text).sample.float()
    objects = batch.masks.sum(1, keepdim=True).clamp(max=1) * 2 + 1
    objects = objects / objects.mean()
    error = ((output - target).square() * objects).mean((1, 2, 3))
    weight = torch.ones_like(snr) if even else snr.clamp(max=5) / (snr + 1)
    terms = {"diffusion": (error * weight).mean()}
    pairs = [
        attention_losses(r.map, batch.masks, batch.positions, alpha_bar.sqrt()) for r in readers if r.map is not None
    ]
    terms["inside"] = ATTENTION * torch.stack([p[0] for p in pairs]).mean()
    terms["own"] = ATTENTION * torch.stack([p[1] for p in pairs]).mean()
    return terms


def batches(cached: Latents, count: int, worker: Worker, start: int, steps: int) -> Iterator[Latents]:
    """Cached scenes in an order that depends only on the step, so that a resumed run repeats an uninterrupted one."""
    singles = (cached.kinds[:, 1] < 0).nonzero().flatten()
    everything = torch.arange(len(cached.kinds))
    for step in range(start, steps):
        pool = singles if step < SINGLES * steps else everything
        generator = torch.Generator().manual_seed(step * worker.count + worker.rank)
        yield cached[pool[torch.randint(len(pool), (count,), generator=generator)]]


def train(
    worker: Worker, atlas: Path, out: Path, steps: int, batch: int, lr: float, stop: int | None, even: bool = False
) -> None:
    torch.manual_seed(0)
    if worker.first:
        tokenizer_of(out)  # creates it
    worker.wait_for_the_first()
    tokenizer, scheduler = tokenizer_of(out), build_scheduler()
    model = nn.ModuleDict({"unet": build_unet(), "text": build_text_model(tokenizer)}).to(worker.device)
    model["unet"].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    readers = install_attention(model["unet"])
    optimisers = workers.optimisers(model, lr, worker)
    ema, start = Ema(model, 0.998), 0
    state = workers.load(out / "unet.pt")
    if state is not None:
        model.load_state_dict(state["model"])
        ema.weights, ema.steps, start = state["ema"], state["ema_steps"], state["step"]
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
    if worker.device.type == "cuda":
        seed = FIRST_SEED * (worker.rank + 2) + start
        painter, vae = Painter(atlas, worker.device), load_vae(out, worker.device)
        stream: Iterator[Latents] = fresh(painter, vae, batch, seed)
        scale = 1 / next(fresh(painter, vae, 256, 1)).latents.float().std().item()
    else:
        cached = load_cache(out)
        stream, scale = batches(cached, batch, worker, start, steps), 1 / cached.latents[:1000].float().std().item()
    scale = state["scale"] if state is not None else scale
    write, log = Writer(tokenizer, scale, worker.device), Log(steps, 50, not worker.first)
    for step, scenes in zip(range(start, stop or steps), stream, strict=False):
        workers.set_learning_rate(optimisers, lr * min(1, (step + 1) / 100, max(0.02, (steps - step) / (0.5 * steps))))
        seed = step * worker.count + worker.rank
        with worker.autocast():
            written = write(scenes, random.Random(seed))
            terms = step_losses(model, readers, scheduler, written, torch.Generator().manual_seed(seed), even)
        sum(terms.values(), torch.zeros((), device=worker.device)).backward()
        worker.average_gradients(model.parameters())
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        ema.update(model)
        log(step, batch * worker.count, **terms)
        if worker.first and ((step + 1) % 100 == 0 or step + 1 == (stop or steps)):
            saved = [o.state_dict() for o in optimisers]
            state = {"model": model.state_dict(), "ema": ema.weights, "ema_steps": ema.steps, "step": step + 1}
            workers.save(
                {**state, "optimisers": saved, "scale": scale, "pictures": (step + 1) * batch * worker.count},
                out / "unet.pt",
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("runs/mini"))
    parser.add_argument(
        "--steps", type=int, default=5000, help="length of the schedule; the learning rate falls over its second half"
    )
    parser.add_argument("--stop", type=int, default=None, help="stop at this step, to resume later")
    parser.add_argument("--batch", type=int, default=16, help="scenes per worker and step")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument(
        "--even", action="store_true", help="give all noise levels equal weight, for backdrops and outlines"
    )
    args = parser.parse_args()
    workers.run(train, args.atlas, args.out, args.steps, args.batch, args.lr, args.stop, args.even)


if __name__ == "__main__":
    main()
