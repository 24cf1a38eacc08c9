"""The autoencoder of the mini checkpoint (8 x 8 pixels -> 16 latent channels): first whole, then the decoder alone.

    python -m experiments.world.training.autoencoder --out runs/mini --start audiotoken/mini/vae
    python -m experiments.world.training.autoencoder --out runs/mini --decoder     # sharper; the latents stay valid
    python -m experiments.world.training.autoencoder --out runs/mini --start audiotoken/mini/vae --steps 0   # as it is

The first two resume exactly where they were stopped. Trained on crops of 64 x 64 around things; measured on whole
pictures.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor, nn

from audiotoken.mini.object_detector import SIDE
from experiments.world.scenes import MASK, Painter, Scenes
from experiments.world.training import checkpoints, workers
from experiments.world.training.workers import Ema, Log, Worker

CROP = 64  # pixels; whole pictures cost four times as much without a benefit
LATENT_CHANNELS = 16
WIDTHS = (16, 32, 64, 128)  # from whole pictures to latents
SEED = 1_000_000  # of the first painted scene; the UNet's scenes begin at 10 million, measured ones lie below 1000
EVERY = 50  # steps between checkpoints


def build_autoencoder() -> AutoencoderKL:
    """2.6 M parameters, f = 8 as in Stable Diffusion."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=SIDE,
        mid_block_add_attention=False,
    )


def draw_crops(images: Tensor, masks: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` crops of every picture (batch * count, 3, 64, 64), preferably on objects."""
    weight = masks.sum(1).flatten(1).cpu() + 0.05  # (batch, 256)
    cells = torch.multinomial(weight, count, replacement=True, generator=generator)  # (batch, count)
    shift = torch.randint(-20, 21, (*cells.shape, 2), generator=generator)
    cell = torch.stack([cells // MASK, cells % MASK], -1) * (SIDE // MASK) + 4
    corner = (cell + shift - CROP // 2).clamp(0, SIDE - CROP)
    return torch.stack(
        [
            image[:, y : y + CROP, x : x + CROP]
            for image, row in zip(images, corner.tolist(), strict=True)
            for y, x in row
        ]
    )


def compute_losses(model: AutoencoderKL, pictures: Tensor, kl_weight: float = 1e-3) -> dict[str, Tensor]:
    """L1 + L2, both also of the gradients, which outlines live on, + a small pull of the latents to a unit Gaussian."""
    posterior = model.encode(pictures).latent_dist
    error = model.decode(posterior.sample()).sample.float() - pictures
    slopes = [error.diff(dim=d) for d in (2, 3)]
    return {
        "l1": error.abs().mean(),
        "l2": error.square().mean(),
        "edges": 0.5 * (slopes[0].abs().mean() + slopes[1].abs().mean()),
        "sharp": 0.5 * (slopes[0].square().mean() + slopes[1].square().mean()),
        "kl": kl_weight * posterior.kl().mean() / posterior.mean[0].numel(),
    }


def compute_learning_rate(step: int, steps: int, peak: float) -> float:
    """Short warm-up, then level, then down to zero over the last 40 %."""
    return peak * min(1.0, (step + 1) / 40, (steps - step) / (0.4 * steps))


def train(
    worker: Worker, atlas: Path, out: Path, steps: int, batch: int, lr: float, decoder: bool, start: Path | None
) -> None:
    torch.manual_seed(0)
    painter, model = Painter(atlas, worker.device), build_autoencoder().to(worker.device)
    if decoder:
        model.load_state_dict(load_first_stage(out))
        model.encoder.requires_grad_(False)
        model.quant_conv.requires_grad_(False)
    elif start is not None:
        share = checkpoints.warm_start(model, checkpoints.read_weights(start))
        print(f"{share:.0%} of the weights come from {start}", flush=True)
    optimisers, emas = workers.make_optimisers(model, lr, worker), [Ema(model, 0.998)]
    path = out / ("decoder.pt" if decoder else "autoencoder.pt")
    state = checkpoints.resume(path, model, emas, optimisers)
    log = Log(steps, EVERY, not worker.first)
    for step in range(state["step"] if state else 0, steps):
        workers.set_learning_rate(optimisers, compute_learning_rate(step, steps, lr))
        terms = train_step(worker, model, painter, optimisers, batch, SEED + step * worker.count + worker.rank, decoder)
        emas[0].update(model)
        log(step, batch * worker.count, **terms)
        if worker.first and ((step + 1) % EVERY == 0 or step + 1 == steps):
            checkpoints.save(path, step + 1, model, emas, optimisers)
    if worker.first and state is None and steps == 0:
        checkpoints.save(path, 0, model, emas, optimisers)
    if worker.first:
        model.load_state_dict(emas[0].weights)
        print(f"{path.name}: {compute_psnr(model, painter.paint(64, 7)):.2f} dB on 64 unseen scenes", flush=True)


def train_step(
    worker: Worker,
    model: AutoencoderKL,
    painter: Painter,
    optimisers: list[torch.optim.Optimizer],
    batch: int,
    seed: int,
    decoder: bool,
) -> dict[str, Tensor]:
    """One update on `batch` crops; all chance comes from `seed`, so that a resumed run repeats it."""
    scenes = painter.paint(batch // 4, seed + (SEED if decoder else 0))
    pictures = draw_crops(scenes.images, scenes.masks, 4, torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)  # the posterior's noise
    with worker.autocast():
        terms = compute_losses(model, pictures)
    sum(terms.values(), torch.zeros((), device=worker.device)).backward()
    worker.average_gradients(model.parameters())
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimiser in optimisers:
        optimiser.step()
        optimiser.zero_grad()
    return terms


def load_first_stage(out: Path) -> dict[str, Tensor]:
    """The averaged weights of the first stage: its encoder is the one that all latents come from."""
    state = workers.load_state(out / "autoencoder.pt")
    if state is None:
        raise SystemExit(f"{out / 'autoencoder.pt'} is missing: train the whole autoencoder first, without --decoder.")
    return state["emas"][0]["weights"]


def load_autoencoder(out: Path, device: torch.device) -> AutoencoderKL:
    """The autoencoder as far as it is: with the sharper decoder where there is one."""
    model, sharper = build_autoencoder(), workers.load_state(out / "decoder.pt")
    model.load_state_dict(sharper["emas"][0]["weights"] if sharper else load_first_stage(out))
    return model.to(device).eval().requires_grad_(False)


@torch.no_grad()
def compute_psnr(model: AutoencoderKL, scenes: Scenes) -> float:
    """Peak signal-to-noise ratio in dB of all pixels together."""
    output = [model.decode(model.encode(p).latent_dist.mean).sample.clamp(-1, 1) for p in scenes.images.split(16)]
    return float(10 * torch.log10(4 / F.mse_loss(torch.cat(output), scenes.images)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("runs/mini"))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=16, help="crops a worker and step")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--decoder", action="store_true", help="tune the decoder alone")
    parser.add_argument("--start", type=Path, default=None, help="folder of an autoencoder to take weights from")
    parser.add_argument("--workers", type=int, default=None, help="processes; by default one a GPU or a core")
    args = parser.parse_args()
    workers.run_workers(
        *(train, args.atlas, args.out, args.steps, args.batch, args.lr, args.decoder, args.start),
        workers=args.workers,
    )


if __name__ == "__main__":
    main()
