"""Encode scenes with the autoencoder: cached in shards on a CPU, painted for every batch on a GPU.

python -m experiments.world.training.latents --out runs/mini --pictures 40000      # 5 minutes on two cores; resumes
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor

from experiments.world.scenes import Painter
from experiments.world.training import workers
from experiments.world.training.train_vae import build
from experiments.world.training.workers import Worker

SHARD = 1000  # pictures per file
FIRST_SEED = 10_000_000  # different from the seeds of the autoencoder and of the tests


@dataclass(frozen=True, eq=False)
class Latents:
    """Scenes as latents with ground truth; the fields of Scenes, without the pictures."""

    latents: Tensor  # (batch, 8, 16, 16), unscaled posterior mean
    masks: Tensor  # (batch, 4, 16, 16) uint8, 255 is full
    kinds: Tensor  # (batch, 4)
    backdrops: Tensor  # (batch,)

    def __getitem__(self, index: Tensor) -> "Latents":
        return Latents(*(getattr(self, f.name)[index] for f in fields(self)))

    def to(self, device: torch.device) -> "Latents":
        return Latents(*(getattr(self, f.name).to(device) for f in fields(self)))


def load_vae(out: Path, device: torch.device) -> AutoencoderKL:
    state = workers.load(out / "vae.pt")
    if state is None:
        raise SystemExit(f"{out / 'vae.pt'} is missing; run `python -m experiments.world.training.train_vae` first.")
    model = build()
    model.load_state_dict(state["ema"])
    return model.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


@torch.no_grad()
def encode(
    painter: Painter, vae: AutoencoderKL, batch: int, seed: int, counts: tuple[float, ...] | None = None
) -> Latents:
    scenes = painter.paint(batch, seed) if counts is None else painter.paint(batch, seed, counts)
    with torch.autocast(painter.device.type, dtype=torch.bfloat16):
        latents = vae.encode(scenes.images.contiguous(memory_format=torch.channels_last)).latent_dist.mean
    masks = (scenes.masks * 255).round().to(torch.uint8)
    return Latents(latents.half(), masks, scenes.kinds.to(torch.int8), scenes.backdrops.to(torch.int8))


def fresh(painter: Painter, vae: AutoencoderKL, batch: int, seed: int) -> Iterator[Latents]:
    """An endless stream of new batches."""
    while True:
        yield encode(painter, vae, batch, seed)
        seed += 1


def cache(worker: Worker, atlas: Path, out: Path, pictures: int) -> None:
    vae, painter = load_vae(out, worker.device), Painter(atlas, worker.device)
    (out / "latents").mkdir(exist_ok=True)
    for shard in range(worker.rank, -(-pictures // SHARD), worker.count):
        path = out / "latents" / f"{shard:05}.safetensors"
        if path.exists():
            continue
        parts = [encode(painter, vae, 50, FIRST_SEED + shard * SHARD + i) for i in range(0, SHARD, 50)]
        tensors = {f.name: torch.cat([getattr(p, f.name) for p in parts]).contiguous() for f in fields(Latents)}
        save_file(tensors, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)
        if worker.first:
            print(f"{path.name} of {-(-pictures // SHARD)}", flush=True)


def load_cache(out: Path) -> Latents:
    shards = [load_file(path) for path in sorted((out / "latents").glob("*.safetensors"))]
    if not shards:
        raise SystemExit(f"{out / 'latents'} has no shard; run `python -m experiments.world.training.latents` first.")
    return Latents(*(torch.cat([s[f.name] for s in shards]) for f in fields(Latents)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("runs/mini"))
    parser.add_argument("--pictures", type=int, default=40_000)
    args = parser.parse_args()
    workers.run(cache, args.atlas, args.out, args.pictures)


if __name__ == "__main__":
    main()
