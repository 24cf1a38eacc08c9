"""Train a small independent detector of the things in a picture of the painted world, and of their positions.

It is trained only on composed scenes with seeds of its own, and no other model is trained on it. It measures whether
and where the mini checkpoint draws a thing.

    python -m experiments.world.training.detector --out runs/mini/detector     # six minutes on one core
    python -m experiments.world.training.detector --start audiotoken/mini/detector --steps 180     # half of that

A stopped training goes on from its last checkpoint, `OUT.pt`.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from audiotoken.mini.object_detector import BACKGROUND, Detector, detect, load_detector
from experiments.world.scenes import Painter
from experiments.world.training import checkpoints, workers
from experiments.world.training.checkpoints import read_weights
from experiments.world.training.workers import Ema, Log, Worker

SAVE_EVERY = 20  # steps
FIRST_SEED = 500_000_000  # different from the seeds of all scenes that train the checkpoint


def label_cells(kinds: Tensor, masks: Tensor) -> Tensor:
    """The class of every cell (batch, 16, 16): the object that covers most of it, or the background below a third."""
    cover, slot = masks.max(1)
    kind = kinds.long().gather(1, slot.flatten(1)).view_as(slot)
    return torch.where(cover > 0.33, kind, BACKGROUND)


def degrade_images(images: Tensor, generator: torch.Generator) -> Tensor:
    """Add blur and noise and vary the contrast, because generated pictures are softer than painted ones."""
    if torch.rand((), generator=generator) < 0.5:
        images = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear")
    noise = 0.1 * torch.rand((), generator=generator) * torch.randn(images.shape, generator=generator)
    gain = 0.85 + 0.3 * torch.rand(len(images), 1, 1, 1, generator=generator)
    return (images * gain.to(images.device) + noise.to(images.device)).clamp(-1, 1)


def train(worker: Worker, atlas: Path, out: Path, steps: int, batch: int, start: Path | None = None) -> None:
    torch.manual_seed(1)
    painter, detector = Painter(atlas, worker.device, mirrored=0.5), Detector()
    if start is not None:
        detector.load_state_dict(read_weights(start))
    detector.to(worker.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(detector.parameters(), 2e-3, weight_decay=0.01)
    ema, log, path = Ema(detector, 0.98), Log(steps, 10, not worker.first), out.with_suffix(".pt")
    state = checkpoints.resume(path, detector, [ema], [optimiser])
    weight = torch.ones(BACKGROUND + 1, device=worker.device)
    weight[BACKGROUND] = 0.3
    for step in range(state["step"] if state else 0, steps):
        workers.set_learning_rate([optimiser], 2e-3 * min(1, (step + 1) / 50, (steps - step) / (0.7 * steps)))
        seed = FIRST_SEED + step * worker.count + worker.rank
        scenes = painter.paint(batch, seed)
        images = degrade_images(scenes.images, torch.Generator().manual_seed(seed))
        with worker.autocast():
            logits = detector(images.contiguous(memory_format=torch.channels_last)).float()
        loss = F.cross_entropy(logits, label_cells(scenes.kinds, scenes.masks), weight)
        loss.backward()
        worker.average_gradients(detector.parameters())
        optimiser.step()
        optimiser.zero_grad()
        ema.update(detector)
        log(step, batch * worker.count, loss=loss)
        if worker.first and ((step + 1) % SAVE_EVERY == 0 or step + 1 == steps):
            checkpoints.save(path, step + 1, detector, [ema], [optimiser])
    if worker.first:
        out.mkdir(parents=True, exist_ok=True)
        save_file({n: w.half().contiguous() for n, w in ema.weights.items()}, out / "model.safetensors")
        scenes = painter.paint(480, FIRST_SEED - 1, counts=(1.0, 0, 0, 0))
        right = detect(load_detector(out), scenes.images.cpu()).largest() == scenes.kinds[:, 0].cpu()
        print(f"largest object correct in {100 * right.float().mean():.1f} % of 480 unseen scenes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("runs/mini/detector"))
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--start", type=Path, default=None, help="folder of a detector to start from")
    parser.add_argument("--workers", type=int, default=None, help="default: one per GPU, or per core")
    args = parser.parse_args()
    workers.run_workers(train, args.atlas, args.out, args.steps, args.batch, args.start, workers=args.workers)


if __name__ == "__main__":
    main()
