"""Fit the mini embedder to a new audio encoder, without training any picture: the tokens shall stay what they are.

    python -m experiments.world.training.refit_embedder --esc10 ../shared/esc10 --encoder runs/audio/shipped \
        --out runs/audio/embedder

A teacher, the old encoder with its embedder, says which token each clip has; the new embedder starts as the old one and
learns to say the same from the features of the new encoder. The UNet, which knows those tokens, stays as it is.
Afterwards `experiments.bench placement tokens=audio` shows whether tokens still draw what they mean.
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders.mini import MiniEncoder
from experiments.world.training.train_embedder import iterate_signals

MINI = Path("audiotoken/mini")


@torch.no_grad()
def compute_features(encoder: MiniEncoder, waves: list[Tensor]) -> Tensor:
    """Features (clips, time, width) of clips (1, frames) that are equally long."""
    return torch.cat([encoder.features(wave) for wave in waves])


def fit_embedder(
    embedder: AudioEmbedder, features: Tensor, tokens: Tensor, *, steps: int = 600, peak: float = 1e-3, batch: int = 64
) -> AudioEmbedder:
    """Train a copy of an embedder to give `tokens` (clips, 1, width) for `features` (clips, time, width)."""
    student = copy.deepcopy(embedder).eval()  # without dropout: there is one right answer
    optimiser = torch.optim.AdamW(student.parameters(), lr=peak, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    chance = torch.Generator().manual_seed(0)
    for _ in range(steps):
        rows = torch.randint(len(features), (batch,), generator=chance)
        loss = compute_distance(student(features[rows]), tokens[rows]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return student


def compute_distance(tokens: Tensor, wanted: Tensor) -> Tensor:
    """Squared error of tokens over the mean square of those wanted, plus one minus the cosine; (clips, tokens)."""
    error = (tokens - wanted).square().mean(-1) / wanted.square().mean()
    return error + 1 - F.cosine_similarity(tokens, wanted, dim=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--esc10", type=Path, required=True)
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--encoder", type=Path, required=True, help="folder of the new encoder")
    parser.add_argument("--teacher", type=Path, default=MINI, help="folder with the old audio_encoder, audio_embedder")
    parser.add_argument("--every", type=int, default=3, help="use one clip of so many; of these, a seventh to test")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(1)
    old, new = (
        MiniEncoder.from_pretrained(path, torch_dtype=torch.float32).eval()
        for path in (args.teacher / "audio_encoder", args.encoder)
    )
    embedder = AudioEmbedder.from_pretrained(args.teacher / "audio_embedder", torch_dtype=torch.float32).eval()
    clips = [
        signal for k, (_, signal) in enumerate(iterate_signals(args.esc10, args.folds, old.rate)) if k % args.every == 0
    ]
    waves = [torch.from_numpy(np.ascontiguousarray(clip, np.float32)).clamp(-1, 1)[None] for clip in clips]
    with torch.no_grad():
        tokens = embedder(compute_features(old, waves))
    features = compute_features(new, waves)
    test = torch.arange(len(features)) % 7 == 6
    student = fit_embedder(embedder, features[~test], tokens[~test])
    with torch.no_grad():
        for name, model in (("before", embedder), ("after", student)):
            near = F.cosine_similarity(model(features[test]), tokens[test], dim=-1)
            print(f"{name}: cosine with the old tokens {near.mean():.3f}, least {near.min():.3f}, {len(near)} clips")
    student.half().save_pretrained(args.out)


if __name__ == "__main__":
    main()
