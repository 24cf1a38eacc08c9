"""Train the mini autoencoder (8 x 8 pixels -> 8 latent channels), then its decoder alone for sharper pictures.

python -m experiments.world.training.train_vae --out runs/mini --steps 700           # 10 minutes on two cores: 25 dB
python -m experiments.world.training.train_vae --out runs/mini --steps 700 --decoder # 10 more: 28 dB; same latents
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from audiotoken.mini.object_detector import SIDE
from experiments.world.scenes import MASK, Painter
from experiments.world.training import workers
from experiments.world.training.workers import Ema, Log, Worker

CROP = 64  # pixels; whole pictures cost four times as much without a benefit


def build() -> AutoencoderKL:
    """2.6 M parameters; f = 8, as in Stable Diffusion, and 8 channels, which small details need."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 32, 64, 128),
        layers_per_block=1,
        latent_channels=8,
        norm_num_groups=8,
        sample_size=SIDE,
        mid_block_add_attention=False,
    )


def crops(images: Tensor, masks: Tensor, count: int, generator: torch.Generator) -> Tensor:
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


def losses(model: AutoencoderKL, pictures: Tensor, kl_weight: float = 2e-3) -> dict[str, Tensor]:
    """L1 + 0.5 L1 of the gradients (edges) + 0.5 L2 + a small KL term that pulls the latents to a unit Gaussian."""
    posterior = model.encode(pictures).latent_dist
    output = model.decode(posterior.sample()).sample.float()
    error = output - pictures
    edges = sum((error.diff(dim=d).abs().mean() for d in (2, 3)), torch.zeros((), device=error.device))
    return {
        "l1": error.abs().mean(),
        "edges": 0.5 * edges,
        "l2": 0.5 * error.square().mean(),
        "kl": kl_weight * posterior.kl().mean() / posterior.mean[0].numel(),
    }


def train(worker: Worker, atlas: Path, out: Path, steps: int, decoder: bool, batch: int, lr: float) -> None:
    torch.manual_seed(0)
    painter = Painter(atlas, worker.device)
    model = build().to(worker.device, memory_format=torch.channels_last)
    name = "vae_decoder.pt" if decoder else "vae.pt"
    state = workers.load(out / name)
    if state is None and decoder:
        first = workers.load(out / "vae.pt")
        if first is None:
            raise SystemExit(f"{out / 'vae.pt'} is missing; train the whole autoencoder first, without --decoder.")
        model.load_state_dict(first["ema"])
    if state is not None:
        model.load_state_dict(state["model"])
    if decoder:
        model.encoder.requires_grad_(False)
        model.quant_conv.requires_grad_(False)
    optimisers = workers.optimisers(model, lr, worker)
    ema, start = Ema(model, 0.998), 0
    if state is not None:
        ema.weights, ema.steps, start = state["ema"], state["ema_steps"], state["step"]
        for optimiser, saved in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
    log = Log(steps, 50, not worker.first)
    for step in range(start, steps):
        workers.set_learning_rate(optimisers, lr * min(1, (step + 1) / 50, (steps - step) / (0.4 * steps)))
        seed = (step * worker.count + worker.rank) * 2 + int(decoder) + 1_000_000
        scenes = painter.paint(batch // 4, seed)
        generator = torch.Generator().manual_seed(seed)
        pictures = crops(scenes.images, scenes.masks, 4, generator).contiguous(memory_format=torch.channels_last)
        torch.manual_seed(seed)  # for the posterior's noise, so that a resumed run repeats it
        with worker.autocast():
            terms = losses(model, pictures)
        sum(terms.values(), torch.zeros((), device=worker.device)).backward()
        worker.average_gradients(model.parameters())
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        ema.update(model)
        log(step, batch * worker.count, **terms)
        if worker.first and ((step + 1) % 100 == 0 or step + 1 == steps):
            saved = [o.state_dict() for o in optimisers]
            workers.save(
                {
                    "model": model.state_dict(),
                    "ema": ema.weights,
                    "ema_steps": ema.steps,
                    "step": step + 1,
                    "optimisers": saved,
                },
                out / name,
            )
    if worker.first:
        model.load_state_dict(ema.weights)
        print(f"{name}: {psnr(model, painter):.2f} dB on 64 unseen scenes", flush=True)


@torch.no_grad()
def psnr(model: AutoencoderKL, painter: Painter) -> float:
    images = painter.paint(64, 7).images
    output = torch.cat(
        [model.decode(model.encode(part).latent_dist.mean).sample.clamp(-1, 1) for part in images.split(16)]
    )
    return float(10 * torch.log10(4 / F.mse_loss(output, images)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atlas", type=Path, default=Path("runs/art/atlas.safetensors"))
    parser.add_argument("--out", type=Path, default=Path("runs/mini"))
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--batch", type=int, default=16, help="crops per worker and step")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--decoder", action="store_true", help="train only the decoder")
    args = parser.parse_args()
    workers.run(train, args.atlas, args.out, args.steps, args.decoder, args.batch, args.lr)


if __name__ == "__main__":
    main()
