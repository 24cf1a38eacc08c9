"""Train the mini audio encoder on real recordings, synthesised sounds and sounds of other things.

    python -m experiments.world.training.train_audio --esc10 ESC10 --folds 1,2,3 --test 4 --out runs/audio/folds123
    python -m experiments.world.training.train_audio --esc10 ESC10 --folds 1,2,3,4 --out runs/audio/shipped \
        --start runs/audio/folds123 --steps 1400 --peak 1e-3

Add `--rendered runs/audio/rendered` for rooms, heads and stems (`render_audio` makes them).
Add `--others runs/audio/others` for recordings of other things (`gather_others` collects some).

After an interruption, the same command resumes from the last state in the folder. Afterwards, `calibrate_audio`
calibrates the scores and `measure_audio` measures the encoder.
"""

import argparse
import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from audiotoken.encoders.mini import MiniEncoder
from audiotoken.mini.things import AUDIBLE_WORDS
from experiments.world.training.audio_mels import (
    Clips,
    TrainingBatches,
    load_others,
    load_real,
    load_rendered,
    synthesise_clips,
)
from experiments.world.training.measure_audio import measure_accuracy

HALF = torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported()  # slow where it is emulated


def compute_loss(scores: Tensor, targets: Tensor, shares: Tensor) -> Tensor:
    """Binary cross-entropy of the presence of each thing, plus cross-entropy of the shares where there are any."""
    heard = F.binary_cross_entropy_with_logits(scores, targets.clamp(0.005, 0.995), reduction="none").sum(1).mean()
    known = shares.sum(1, keepdim=True)
    which = -(shares * F.log_softmax(scores, 1)).sum(1)[known[:, 0] > 0.05]
    return heard + (which.mean() if len(which) else 0.0)


def compute_learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over 6 % of the steps, then a half cosine down to zero."""
    warm = max(1, round(0.06 * steps))
    return peak * (step / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm))))


@torch.no_grad()
def update_average(average: MiniEncoder, model: MiniEncoder, decay: float) -> None:
    """Move the averaged weights towards the current ones; counters are copied."""
    for a, b in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if a.is_floating_point():
            a.lerp_(b, 1 - decay)
        else:
            a.copy_(b)


def build_model(seed: int) -> MiniEncoder:
    """Build an untrained encoder for all audible words."""
    torch.manual_seed(seed)
    return MiniEncoder(labels=AUDIBLE_WORDS)


def train_encoder(
    supply: TrainingBatches,
    folder: Path,
    *,
    steps: int,
    peak: float,
    seed: int,
    device: str,
    start: Path | None = None,
    frozen: int = 0,
) -> MiniEncoder:
    """Train for `steps` batches and return the averaged model; resumes from `folder/state.pt` if it exists.

    The first `frozen` layers of the trunk stay as they are; the first convolution takes a third of the time.
    """
    model = build_model(seed) if start is None else MiniEncoder.from_pretrained(start, torch_dtype=torch.float32)
    model = model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    model.trunk[:frozen].eval().requires_grad_(False)
    average = copy.deepcopy(model).eval()
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    plain = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
    optimiser, first, state = torch.optim.AdamW(groups, lr=peak), 0, folder / "state.pt"
    if state.exists():
        saved = torch.load(state, map_location=device, weights_only=True)
        model.load_state_dict(saved["model"]), average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        first = saved["step"]
    mean, began = 0.0, time.process_time()
    for step in range(first, steps):
        for group in optimiser.param_groups:
            group["lr"] = compute_learning_rate(step, steps, peak)
        inputs, targets, shares = (x.to(device) for x in supply.batch(step))
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=HALF):
            scores = model.pool(model.score(model.embed(inputs)).float())
        loss = compute_loss(scores, targets, shares)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        update_average(average, model, min(0.998, (step + 1) / (step + 20)))
        mean = 0.98 * mean + 0.02 * loss.item() if step > first else loss.item()
        if (step + 1) % 250 == 0 or step + 1 == steps:
            parts = {"model": model.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save(parts | {"step": step + 1}, state.with_suffix(".new"))
            state.with_suffix(".new").replace(state)
            save_encoder(average, folder)
            print(f"step {step + 1}/{steps} loss {mean:.3f} cpu {time.process_time() - began:.0f} s", flush=True)
    return average


def save_encoder(model: MiniEncoder, folder: Path) -> None:
    """Save the weights in half precision, in the layout of diffusers."""
    copy.deepcopy(model).to("cpu", torch.float16, memory_format=torch.contiguous_format).save_pretrained(folder)  # type: ignore[call-overload]


def load_training_data(args: argparse.Namespace) -> TrainingBatches:
    """Gather spectrograms of the real clips, the synthesised sounds and all other sounds."""
    real = load_real(Path(args.esc10), [int(fold) for fold in args.folds.split(",")])
    words, others = synthesise_clips(args.per_word, args.per_kind)
    if args.others:
        more = load_others(Path(args.others))
        others = Clips(others.mels + more.mels, others.classes + more.classes)
    rendered = load_rendered(Path(args.rendered)) if args.rendered else None
    return TrainingBatches(real, words, others, args.seed, args.batch, rendered)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--esc10", required=True, help="folder of real recordings with metadata.csv")
    parser.add_argument("--folds", default="1,2,3", help="folds to train on")
    parser.add_argument("--test", default="", help="fold to measure on afterwards")
    parser.add_argument("--others", default=None, help="folder of recordings that are none of the things")
    parser.add_argument("--rendered", default=None, help="folder of scenes, by render_audio")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--frozen", type=int, default=0, help="first layers of the trunk that are not trained")
    parser.add_argument("--out", default="runs/audio/folds123")
    parser.add_argument("--start", default=None, help="folder of an encoder to start from")
    parser.add_argument("--steps", type=int, default=2600)  # of 32 crops each; about 5 CPU minutes per thousand
    parser.add_argument("--peak", type=float, default=3e-3)
    parser.add_argument("--per-word", type=int, default=40)
    parser.add_argument("--per-kind", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "command.json").write_text(json.dumps(vars(args), indent=1))
    np.random.seed(args.seed)  # noqa: NPY002 - not used here, but perhaps by libraries
    device = "cuda" if torch.cuda.is_available() else "cpu"
    start = Path(args.start) if args.start else None
    options = {"steps": args.steps, "peak": args.peak, "seed": args.seed, "start": start, "frozen": args.frozen}
    model = train_encoder(load_training_data(args), folder, device=device, **options)
    if args.test:
        print(f"fold {args.test}: top-1 {measure_accuracy(model.cpu().float(), Path(args.esc10), int(args.test)):.4f}")


if __name__ == "__main__":
    main()
