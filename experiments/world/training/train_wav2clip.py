"""Train a small Wav2CLIP of the painted world: it maps sounds to the space of the small CLIP, which stays fixed.

    python -m experiments.world.training.train_wav2clip --esc10 ../shared/esc10 --folds 1 2 3 --test 4 \
        --out runs/mini/wav2clip                                    # 15 minutes on one core

As in the paper, a clip and a picture of its source are pulled together, and pushed away from the others of the batch.
Here the pictures are scenes painted for the clip's word, and every picture of that word counts as correct. Half of each
batch are real recordings, half synthesised sounds.
"""

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from audiotoken.clip import Clip, load_clip
from audiotoken.mini.sounds import synthesise
from audiotoken.mini.things import AUDIBLE_WORDS, WORDS
from audiotoken.wav2clip import RATE, Wav2CLIP, load_wav2clip, spectrogram
from experiments.world.scenes import Painter
from experiments.world.training import workers
from experiments.world.training.audio_mels import list_real_clips, read_wave
from experiments.world.training.train_clip import compute_contrastive_loss, to_pictures
from experiments.world.training.workers import Ema, Log, Worker

WIDTH = 16  # channels of the first stage; the published model has 64
SECONDS = 5.0  # length of the clips
CROP = 2.56  # seconds of a clip used in a batch, around a loud moment
MADE = 24  # synthesised clips per word
PICTURES = 40  # painted scenes per word
FIRST_SEED = 950_000_000  # of the scenes

Signals = dict[str, list[NDArray[np.float32]]]


def embed_pictures(clip: Clip, painter: Painter, each: int, first_seed: int) -> Tensor:
    """Embeddings (24, each, width) of scenes with one thing, by word."""
    found: list[list[NDArray[np.float32]]] = [[] for _ in WORDS]
    seed = first_seed
    while min(map(len, found)) < each:
        scenes = painter.paint(96, seed, counts=(1.0, 0, 0, 0))
        embedded = clip.embed_images(to_pictures(scenes.images))
        for kind, row in zip(scenes.kinds[:, 0].tolist(), embedded, strict=True):
            found[kind].append(row)
        seed += 1
    return torch.from_numpy(np.stack([rows[:each] for rows in found]))


def vary_signal(signal: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Vary a recording in speed, position in the clip, room colour and noise floor."""
    speed = float(rng.choice([0.8, 0.9, 1.0, 1.0, 1.12, 1.25]))
    at = np.arange(0, len(signal) - 1, speed)
    faster = np.interp(at, np.arange(len(signal)), signal)
    frames = int(RATE * CROP)
    level = np.sqrt(np.mean(np.resize(faster, (len(faster) // 400, 400)) ** 2, axis=1))  # of 25 ms
    loud = int(rng.choice(np.flatnonzero(level >= level.max() * 0.1))) * 400
    start = int(np.clip(loud - int(rng.integers(frames)), 0, max(0, len(faster) - frames)))
    spectrum = np.fft.rfft(np.resize(faster[start : start + frames], frames))
    bands = np.linspace(0, 1, 7)
    gain = np.interp(np.linspace(0, 1, len(spectrum)) ** 0.5, bands, rng.normal(0, 5, 7))  # dB
    heard = np.fft.irfft(spectrum * 10 ** (gain / 20), frames)
    noise = rng.standard_normal(frames) * (np.sqrt(np.mean(heard**2)) + 1e-6) * 10 ** (-rng.uniform(10, 60) / 20)
    return (heard + noise * (rng.random() < 0.7)).astype(np.float32)


def mask_spectrogram(levels: Tensor, rng: np.random.Generator) -> Tensor:
    """SpecAugment, Park et al. (2019): blank two bands and two time spans of each clip."""
    levels = levels.clone()
    for clip in levels:
        for axis, most in ((1, 40), (2, 40)):
            for _ in range(2):
                start = int(rng.integers(clip.shape[axis]))
                clip.narrow(axis, start, min(int(rng.integers(1, most)), clip.shape[axis] - start)).zero_()
    return levels


def make_batch(real: Signals, made: Signals, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Waveforms (batch, frames) and indices of their words (batch,)."""
    sources = [(real, list(real))] * (size // 2) + [(made, list(AUDIBLE_WORDS))] * (size - size // 2)
    waves, kinds = [], []
    for signals, words in sources:
        word = words[int(rng.integers(len(words)))]
        waves.append(vary_signal(signals[word][int(rng.integers(len(signals[word])))], rng))
        kinds.append(WORDS.index(word))
    return torch.from_numpy(np.stack(waves)), torch.tensor(kinds)


def train(worker: Worker, args: argparse.Namespace) -> None:
    torch.manual_seed(3)
    clip, painter = load_clip(args.clip), Painter(args.atlas, mirrored=0.5)
    bank = embed_pictures(clip, painter, PICTURES, FIRST_SEED)
    real, made = load_signals(args.esc10, args.folds)
    model = Wav2CLIP(WIDTH, (8 * WIDTH, 8 * WIDTH, clip.width)) if args.start is None else load_wav2clip(args.start)
    model.train().to(memory_format=torch.channels_last)  # takes less than half the time on a CPU
    scale = torch.nn.Parameter(torch.tensor(1 / 0.07).log())
    parameters = [p for p in (*model.parameters(), scale) if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, args.lr, weight_decay=0.05)
    ema, log = Ema(model, 0.99), Log(args.steps, 25, not worker.first)
    for step in range(args.steps):
        warm_up, decay = (step + 1) / 50, (args.steps - step) / (0.7 * args.steps)
        workers.set_learning_rate([optimiser], args.lr * min(1, warm_up, decay))
        rng = np.random.default_rng([4, step, worker.rank])
        waves, kinds = make_batch(real, made, args.batch, rng)
        shown = torch.cat([kinds, torch.arange(len(WORDS))])  # a picture for each clip, and one for every word
        pictures = bank[shown, torch.from_numpy(rng.integers(PICTURES, size=len(shown)))]
        levels = mask_spectrogram(spectrogram(waves), rng).contiguous(memory_format=torch.channels_last)
        heard = F.normalize(model.audio_transform(model.audio_encoder(levels)), dim=1)
        loss = compute_loss(heard, pictures, kinds[:, None] == shown, scale)
        loss.backward()
        worker.average_gradients(parameters)
        optimiser.step()
        optimiser.zero_grad()
        ema.update(model)
        log(step, args.batch * worker.count, contrastive=loss)
        if worker.first and ((step + 1) % 100 == 0 or step + 1 == args.steps):
            save_wav2clip(model, ema, args.out)
    if worker.first and args.steps == 0:  # the last layer only
        fit_head(model, bank, real, made)
        save_wav2clip(model, Ema(model, 0), args.out)
    if worker.first and args.test:
        measure_wav2clip(load_wav2clip(args.out), clip, painter, load_real_signals(args.esc10, args.test))


def save_wav2clip(model: Wav2CLIP, ema: Ema, out: Path) -> None:
    """The averaged weights, in half precision."""
    average = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
    average.load_state_dict({n: w.to(average.state_dict()[n].dtype) for n, w in ema.weights.items()})
    average.half().save_pretrained(out)


@torch.no_grad()
def fit_head(model: Wav2CLIP, bank: Tensor, real: Signals, made: Signals, ridge: float = 1e-5) -> None:
    """Fit the last layer by least squares: from the output of the others to the mean of each word's pictures.

    Useful for another CLIP, or for a network with little training; also recomputes the statistics of its norms.
    """
    rng = np.random.default_rng(5)
    waves = [
        (vary_signal(s, rng), WORDS.index(w))
        for signals in (real, made)
        for w, some in signals.items()
        for s in some * 2
    ]
    order = rng.permutation(len(waves))
    levels = spectrogram(torch.from_numpy(np.stack([waves[i][0] for i in order])))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # equal weight for all batches
    model.train()
    for some in levels.split(64)[:8]:
        model.audio_encoder(some.contiguous(memory_format=torch.channels_last))
    model.eval()
    parts = [model.audio_encoder(some.contiguous(memory_format=torch.channels_last)) for some in levels.split(64)]
    head: Any = model.audio_transform.sequential
    hidden = head[:2](torch.cat(parts)).double()  # (clips, units)
    middle = F.normalize(bank.mean(1), dim=1).double()[[waves[i][1] for i in order]]  # (clips, width)
    gap = hidden - hidden.mean(0)
    covariance = gap.T @ gap / len(gap)
    covariance += ridge * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.double)
    weight = torch.linalg.solve(covariance, gap.T @ (middle - middle.mean(0)) / len(gap)).T
    head[3].weight.copy_(weight)
    head[3].bias.copy_(middle.mean(0) - weight @ hidden.mean(0))


def compute_loss(heard: Tensor, pictures: Tensor, fits: Tensor, scale: Tensor) -> Tensor:
    """Contrastive loss in both directions; pictures of words without a clip in the batch are only wrong answers."""
    some = fits.any(0)
    scores = scale.exp().clamp(max=100) * heard @ pictures.T
    right = fits.float() / fits.sum(1, keepdim=True)
    rows = F.cross_entropy(scores, right)
    return (rows + compute_contrastive_loss(heard, pictures[some], fits[:, some], scale)) / 2


def load_signals(esc10: Path, folds: list[int]) -> tuple[Signals, Signals]:
    """Real recordings, and synthesised sounds with even seeds, by word."""
    made: Signals = {
        word: [np.asarray(synthesise(word, RATE, SECONDS, 2 * i), np.float32) for i in range(MADE)]
        for word in AUDIBLE_WORDS
    }
    return load_real_signals(esc10, folds), made


def load_real_signals(esc10: Path, folds: list[int]) -> Signals:
    found: Signals = {}
    for path, word in list_real_clips(esc10, folds):
        found.setdefault(word, []).append(read_wave(path, RATE))
    return found


def measure_wav2clip(model: Wav2CLIP, clip: Clip, painter: Painter, real: Signals) -> dict[str, float]:
    """On clips not used in training: how often the nearest of 24 pictures (one per word) or captions is correct."""
    bank = embed_pictures(clip, painter, 20, FIRST_SEED - 1_000).numpy()
    made = {word: [synthesise(word, RATE, 4.0, 20_001 + 2 * i) for i in range(5)] for word in AUDIBLE_WORDS}
    figures: dict[str, Any] = {}
    for name, signals in (("real", real), ("synthesised", made)):
        heard = model.embed([signal for clips in signals.values() for signal in clips])
        kinds = np.array([WORDS.index(word) for word, clips in signals.items() for _ in clips])
        nearest = [(heard @ bank[:, i].T).argmax(1) == kinds for i in range(bank.shape[1])]
        figures[f"{name}, pictures"] = float(np.mean(nearest))
        figures[f"{name}, captions"] = float(((heard @ clip.embed_classes(WORDS).T).argmax(1) == kinds).mean())
        print(
            "  ".join(f"{key} {100 * value:.1f} %" for key, value in figures.items()), f"{len(kinds)} clips", flush=True
        )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--esc10", type=Path, required=True, help="folder of real recordings with metadata.csv")
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--test", type=int, nargs="*", default=[], help="folds to measure on afterwards")
    parser.add_argument("--clip", default="runs/mini/clip", help="folder of the small CLIP")
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--start", type=Path, default=None, help="folder of a Wav2CLIP to start from")
    parser.add_argument("--out", type=Path, default=Path("runs/mini/wav2clip"))
    parser.add_argument("--steps", type=int, default=1000, help="0: only fit the last layer, by least squares")
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=None, help="default: one per GPU, or per core")
    args = parser.parse_args()
    workers.run_workers(train, args, workers=args.workers)


if __name__ == "__main__":
    main()
