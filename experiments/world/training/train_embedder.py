"""Train the mini embedder with the project's own trainer, on real and synthesised sounds with painted scenes of them.

python -m experiments.world.training.train_embedder --esc10 ESC10 --folds 1 2 3 \
    --encoder runs/audio/folds123 --name embedder123
python -m experiments.world.training.train_embedder --esc10 FOLDER --folds 1 2 3 4      # to ship
"""

import argparse
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from audiotoken.audio import load_audio, to_mono
from audiotoken.data import read_esc_rows
from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders.mini import MiniEncoder
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS, WORD_OF_ESC10, WORDS
from audiotoken.training import Batch, LossWeights, Progress, Settings, train_embedder
from experiments.world.captions import write_caption
from experiments.world.scenes import Painter
from experiments.world.training import autoencoder
from experiments.world.training.assemble import build_pipeline
from experiments.world.training.shards import Latents, paint_shards
from experiments.world.training.unet import WIDTH

SECONDS = 4.0  # length of a training clip
MADE = 24  # synthesised clips per word
CROPS = 4  # per real clip
SHARDS = 8  # of painted scenes


def iterate_signals(esc10: Path, folds: list[int], rate: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (word, signal) of every training clip: crops of real clips at several levels, and synthesised clips."""
    rng, frames = np.random.default_rng(0), round(SECONDS * rate)
    for path, label, _ in read_esc_rows(esc10, folds):
        signal = to_mono(load_audio(path, rate)[0])
        signal = np.pad(signal, (0, max(0, frames - len(signal))))
        for _ in range(CROPS):
            yield WORD_OF_ESC10[label], cut_sounding_part(signal, frames, rng) * 10 ** rng.uniform(-0.5, 0.2)
    for word in AUDIBLE_WORDS:
        for seed in range(MADE):
            yield word, synthesise(word, rate, SECONDS, 700_000 + seed)


def hash_code(*parts: object) -> str:
    """Eight characters that depend on the content of files and the values of other parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else repr(part).encode())
    return digest.hexdigest()[:8]


def cut_sounding_part(signal: np.ndarray, frames: int, rng: np.random.Generator) -> np.ndarray:
    """A random span that is not much quieter than the loudest one."""
    starts = rng.integers(0, len(signal) - frames + 1, 8)
    power = [np.square(signal[s : s + frames]).sum() for s in starts]
    loud = [s for s, p in zip(starts, power, strict=True) if p >= 0.3 * max(power)]
    start = int(rng.choice(loud))
    return signal[start : start + frames]


@torch.no_grad()
def compute_features(encoder: MiniEncoder, esc10: Path, folds: list[int], cache: Path) -> tuple[Tensor, Tensor]:
    """Features (clips, time, width) in half precision and the index of each in AUDIBLE_WORDS; saved in `cache`."""
    if cache.exists():
        kept = load_file(cache)
        return kept["features"], kept["labels"]
    features, labels = [], []
    for word, signal in iterate_signals(esc10, folds, encoder.rate):
        waveform = torch.from_numpy(np.ascontiguousarray(signal, np.float32)).clamp(-1, 1)[None]
        features.append(encoder.features(waveform)[0].half())
        labels.append(AUDIBLE_WORDS.index(word))
    kept = {"features": torch.stack(features), "labels": torch.tensor(labels)}
    save_file(kept, cache)
    return kept["features"], kept["labels"]


class Batches:
    """Scenes with an audible thing, a clip of it, and a caption with `<audio>` instead of its noun."""

    def __init__(self, scenes: Latents, scale: float, features: Tensor, labels: Tensor, size: int):
        self.scenes, self.scale, self.features, self.size = scenes, scale, features, size
        self.clips = [(labels == i).nonzero().flatten() for i in range(len(AUDIBLE_WORDS))]
        heard = [(scenes.kinds == WORDS.index(w)) for w in AUDIBLE_WORDS]
        self.places = [h.nonzero() for h in heard]  # (places, 2): scene, slot

    def __call__(self, start: int) -> Iterator[Batch]:
        step = start
        while True:
            yield self.batch(random.Random(step))
            step += 1

    def batch(self, rng: random.Random) -> Batch:
        labels = [rng.randrange(len(AUDIBLE_WORDS)) for _ in range(self.size)]
        clips = torch.tensor([int(rng.choice(self.clips[label])) for label in labels])
        places = torch.stack([rng.choice(self.places[label]) for label in labels])
        scenes = self.scenes[places[:, 0]]
        texts = [
            write_caption(kinds, backdrop, rng, heard=slot)
            for kinds, backdrop, slot in zip(
                scenes.kinds.tolist(), scenes.backdrops.tolist(), places[:, 1].tolist(), strict=True
            )
        ]
        own = scenes.masks[torch.arange(self.size), places[:, 1]].float() / 255
        weight = 1 + 2 * own[:, None]
        return Batch(
            scenes.latents.float() * self.scale,
            self.features[clips].float(),
            torch.tensor(labels),
            texts,
            weight / weight.mean(),
        )


def begin_embedder(start: Path | None, width: int) -> AudioEmbedder:
    """The embedder in the folder `start`, or a new one for features of that width."""
    if start is None:
        return AudioEmbedder(width, WIDTH)
    return AudioEmbedder.from_pretrained(start, torch_dtype=torch.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=Path("runs/mini"))
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--esc10", type=Path, required=True)
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--encoder", type=Path, default=Path("audiotoken/mini/audio_encoder"))
    parser.add_argument("--name", default="embedder")
    parser.add_argument("--start", type=Path, help="folder of an embedder to go on from, of an earlier UNet")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--classification", type=float, default=LossWeights.classification)
    args = parser.parse_args()
    torch.manual_seed(0)
    heard = hash_code(*args.encoder.glob("*.safetensors"), args.folds)  # new parts get new files, never stale ones
    key = hash_code(args.run / "unet.pt", heard, *(sorted(args.start.glob("*.safetensors")) if args.start else ()))
    encoder = MiniEncoder.from_pretrained(args.encoder, torch_dtype=torch.float32).eval()
    pipe = build_pipeline(args.run, begin_embedder(args.start, encoder.width), encoder)
    features, labels = compute_features(encoder, args.esc10, args.folds, args.run / f"{args.name}-{heard}.safetensors")
    vae = autoencoder.load_autoencoder(args.run, torch.device("cpu"))
    scenes = paint_shards(Painter(args.atlas), vae, args.run / "embedder-shards", SHARDS)
    batches = Batches(scenes, pipe.vae.config.scaling_factor, features, labels, args.batch)
    settings = Settings(
        steps=args.steps, learning_rate=1e-3, ema=0.99, weights=LossWeights(classification=args.classification)
    )

    def show(progress: Progress) -> None:
        if progress.step % 50 == 0:
            terms = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
            print(
                f"step {progress.step}/{args.steps}  {terms}  {progress.images_per_second:.1f} pictures/s", flush=True
            )

    embedder = train_embedder(
        pipe, batches, AUDIBLE_WORDS, settings, checkpoint=args.run / f"{args.name}-{key}.pt", on_progress=show
    )
    embedder.save_pretrained(args.run / args.name)


if __name__ == "__main__":
    main()
