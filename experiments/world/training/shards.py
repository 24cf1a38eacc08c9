"""Scenes as the autoencoder sees them: a sliding window of shards on a CPU, painted anew for every batch on a GPU.

Which shards a step may draw from depends on the number of scenes seen alone, so a resumed run sees what it would have
seen; a shard that is missing is painted again, the same to the bit.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor

from audiotoken.mini.things import WORDS
from experiments.world.scenes import Painter
from experiments.world.training import workers
from experiments.world.training.workers import Worker

SHARD = 1000  # scenes
FIRST = 8  # shards before training begins
REUSE = 4  # times that a scene is seen on average
WINDOW = 60  # shards at most: 0.6 GB
SCALED_BY = 256  # scenes whose spread sets the scale of the latents
FIRST_SEED = 10_000_000  # different from the seeds of the autoencoder and of the tests
TOGETHER = 2  # shards that are added at a time, one a worker
FOCUS = 3  # times as often as the others come scenes that show a thing in focus


@dataclass(frozen=True, eq=False)
class Latents:
    """Scenes as latents with ground truth; the fields of Scenes, without the pictures."""

    latents: Tensor  # (batch, 16, 16, 16), unscaled posterior mean
    masks: Tensor  # (batch, 4, 16, 16) uint8, 255 is full
    kinds: Tensor  # (batch, 4)
    backdrops: Tensor  # (batch,)

    def __getitem__(self, index: Tensor) -> "Latents":
        return Latents(*(getattr(self, f.name)[index] for f in fields(self)))

    def to(self, device: torch.device) -> "Latents":
        return Latents(*(getattr(self, f.name).to(device) for f in fields(self)))


def list_window(seen: int) -> range:
    """Numbers of the shards that may be drawn from after `seen` scenes."""
    end = FIRST + TOGETHER * (seen // (TOGETHER * SHARD * REUSE))
    return range(max(0, end - WINDOW), end)


@torch.no_grad()
def encode_scenes(
    painter: Painter, vae: AutoencoderKL, batch: int, seed: int, counts: tuple[float, ...] | None = None
) -> Latents:
    """`batch` scenes of this seed, unscaled."""
    scenes = painter.paint(batch, seed) if counts is None else painter.paint(batch, seed, counts)
    with workers.autocast(scenes.images.device):
        latents = torch.cat([vae.encode(part).latent_dist.mean for part in scenes.images.split(125)])
    masks = (scenes.masks * 255).round().to(torch.uint8)
    return Latents(latents.half(), masks, scenes.kinds.to(torch.int8), scenes.backdrops.to(torch.int8))


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.safetensors"


def paint_shard(painter: Painter, vae: AutoencoderKL, folder: Path, number: int) -> None:
    scenes, path = encode_scenes(painter, vae, SHARD, FIRST_SEED + number), shard_path(folder, number)
    part = path.with_suffix(".part")
    save_file({f.name: getattr(scenes, f.name).cpu().contiguous() for f in fields(Latents)}, part)
    os.replace(part, path)


def load_shard(path: Path) -> Latents:
    return Latents(**load_file(path))


def concatenate(parts: Sequence[Latents]) -> Latents:
    return Latents(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Latents)))


def paint_shards(painter: Painter, vae: AutoencoderKL, folder: Path, count: int) -> Latents:
    """The first `count` shards, kept in `folder` from their first use."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        if not shard_path(folder, number).exists():
            paint_shard(painter, vae, folder, number)
    return concatenate([load_shard(shard_path(folder, number)) for number in range(count)])


class ShardCache:
    """The cache of one run; every worker holds the window, and paints its share of what is new.

    Scenes that show one of the things in `focus` (their numbers in WORDS) are drawn FOCUS times as often as the others.
    """

    def __init__(self, worker: Worker, painter: Painter, vae: AutoencoderKL, folder: Path, focus: Sequence[int] = ()):
        self.worker, self.painter, self.vae, self.folder = worker, painter, vae, folder
        self.focus = torch.tensor(focus, dtype=torch.int8)
        folder.mkdir(parents=True, exist_ok=True)
        self.held: dict[int, Latents] = {}
        self.scenes: Latents | None = None

    def batch(self, step: int, count: int, single: bool) -> Latents:
        """`count` scenes for this worker; `single`: of one thing only."""
        scenes = self.load_window(step * count * self.worker.count)
        generator = torch.Generator().manual_seed(step * self.worker.count + self.worker.rank)
        pool = (scenes.kinds[:, 1] < 0).nonzero().flatten() if single else torch.arange(len(scenes.kinds))
        if not len(self.focus):
            return scenes[pool[torch.randint(len(pool), (count,), generator=generator)]]
        weights = torch.isin(scenes.kinds[pool], self.focus).any(1) * float(FOCUS - 1) + 1
        return scenes[pool[torch.multinomial(weights, count, replacement=True, generator=generator)]]

    def load_window(self, seen: int) -> Latents:
        """All scenes of the window after `seen` scenes."""
        numbers = list_window(seen)
        if self.scenes is None or set(numbers) != set(self.held):
            self.paint([n for n in numbers if not self.path(n).exists()])
            self.held = {n: self.held.get(n) or load_shard(self.path(n)) for n in numbers}
            self.scenes = concatenate(list(self.held.values()))
            if self.worker.first and numbers[0] > 0:
                self.path(numbers[0] - TOGETHER - 1).unlink(missing_ok=True)
                self.path(numbers[0] - TOGETHER - 2).unlink(missing_ok=True)
        return self.scenes

    def paint(self, missing: list[int]) -> None:
        for number in missing[self.worker.rank :: self.worker.count]:
            paint_shard(self.painter, self.vae, self.folder, number)
        self.worker.synchronise()

    def path(self, number: int) -> Path:
        return shard_path(self.folder, number)


class NewScenes:
    """New scenes for every batch, painted and encoded on the device."""

    def __init__(self, worker: Worker, painter: Painter, vae: AutoencoderKL):
        self.worker, self.painter, self.vae = worker, painter, vae

    def batch(self, step: int, count: int, single: bool) -> Latents:
        seed = 2 * FIRST_SEED + step * self.worker.count + self.worker.rank
        return encode_scenes(self.painter, self.vae, count, seed, (1.0, 0.0, 0.0, 0.0) if single else None)


def choose_source(
    worker: Worker, painter: Painter, vae: AutoencoderKL, folder: Path, focus: Sequence[str] = ()
) -> ShardCache | NewScenes:
    """What is quicker on the worker's device; a focus is a matter of shards, a GPU sees enough of everything."""
    if worker.device.type == "cuda" and not focus:
        return NewScenes(worker, painter, vae)
    return ShardCache(worker, painter, vae, folder, [WORDS.index(word) for word in focus])


def measure_latent_scale(painter: Painter, vae: AutoencoderKL) -> float:
    """What makes latents of unit variance."""
    latents: Tensor = encode_scenes(painter, vae, SCALED_BY, FIRST_SEED - 1).latents
    return 1 / latents.float().std().item()
