"""Combine checkpoints of the training stages in one folder in the layout of diffusers, and draw picture grids.

python -m experiments.world.training.assemble --run runs/mini --out audiotoken/mini
python -m experiments.world.training.assemble --run runs/mini --look runs/look.png     # what it draws so far
"""

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageDraw

from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders.mini import MiniEncoder
from audiotoken.mini.things import WORDS
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.protocols import SoundPipeline
from experiments.world.captions import tokenizer_of
from experiments.world.training import workers
from experiments.world.training.train_unet import build_scheduler, build_text_model, build_unet
from experiments.world.training.train_vae import build as build_vae

STEPS, GUIDANCE = 20, 4.0  # used for the measurements and the shipped checkpoint
SHARD = "15MB"
LOOK = (
    *(f"a photo of {w}" for w in WORDS),
    "a dog and a frog", "a cat and a car", "a bird and a house", "a rooster and a clock",
    "a cow in a meadow", "a dog on a beach", "a helicopter in the sky", "a guitar and a bell in a room",
    "a fire at night", "a pig and a sheep in a meadow", "a tree in a forest", "a car and a train on the street",
)  # fmt: skip


def vae_of(run: Path) -> AutoencoderKL:
    """The autoencoder with the encoder of the first stage and the latest decoder."""
    state = workers.load(run / "vae_decoder.pt") or workers.load(run / "vae.pt")
    if state is None:
        raise SystemExit(f"{run} has no vae.pt; run `make mini`, or pass the folder with --run.")
    vae = build_vae()
    vae.load_state_dict(state["ema"])
    return vae


def pipeline_of(
    run: Path, embedder: AudioEmbedder | None = None, encoder: MiniEncoder | None = None
) -> AudioTokenPipeline:
    """The pipeline of the run so far (averaged weights), in float32."""
    state = workers.load(run / "unet.pt")
    if state is None:
        raise SystemExit(f"{run} has no unet.pt; run `make mini`, or pass the folder with --run.")
    tokenizer, unet, vae = tokenizer_of(run), build_unet(), vae_of(run)
    text = build_text_model(tokenizer)
    parts = {"unet": unet, "text": text}
    for name, part in parts.items():
        part.load_state_dict(
            {k.removeprefix(name + "."): v for k, v in state["ema"].items() if k.startswith(name + ".")}
        )
    vae.register_to_config(scaling_factor=state["scale"])
    pipe = AudioTokenPipeline(
        vae=vae.eval(),
        text_encoder=text.eval(),
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=build_scheduler(),
        audio_encoder=encoder,
        audio_embedder=embedder,
        default_steps=STEPS,
        default_guidance=GUIDANCE,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def look(pipe: SoundPipeline, path: Path, seed: int = 0, steps: int = STEPS) -> None:
    """Draw one labelled picture for every prompt in LOOK."""
    cells = []
    for i in range(0, len(LOOK), 12):
        prompts = list(LOOK[i : i + 12])
        for prompt, image in zip(
            prompts, pipe(prompt=prompts, num_inference_steps=steps, seed=seed).images, strict=True
        ):
            cell = Image.new("RGB", (128, 142), "white")
            cell.paste(image)
            ImageDraw.Draw(cell).text((2, 129), prompt.removeprefix("a photo of ")[:24], fill="black")
            cells.append(cell)
    sheet = Image.new("RGB", (128 * 9, 142 * -(-len(cells) // 9)), "white")
    for i, cell in enumerate(cells):
        sheet.paste(cell, (i % 9 * 128, i // 9 * 142))
    sheet.save(path)


def write(pipe: AudioTokenPipeline, out: Path) -> None:
    """Write half-precision safetensors in shards below 16 MB; other files (card, package) are kept."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        pipe.to(torch.float16)
        for part in (pipe.audio_encoder, pipe.audio_embedder):
            part.half()
        pipe.save_pretrained(folder, safe_serialization=True, max_shard_size=SHARD)
        index = Path(folder) / "model_index.json"
        index.write_text(json.dumps(json.loads(index.read_text()) | {"_name_or_path": "mini"}, indent=2) + "\n")
        for item in sorted(Path(folder).iterdir()):
            target = out / item.name
            if target.is_dir():
                for path in (*target.glob("measured*.json"), *target.glob("*.md")):
                    shutil.copy(path, item / path.name)
                shutil.rmtree(target)
            os.replace(item, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/mini"))
    parser.add_argument("--encoder", type=Path, default=Path("audiotoken/mini/audio_encoder"))
    parser.add_argument("--embedder", type=Path, default=None, help="default: RUN/embedder")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--look", type=Path, default=None)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.look:
        look(pipeline_of(args.run), args.look, args.seed)
    if args.out:
        embedder = AudioEmbedder.from_pretrained(args.embedder or args.run / "embedder")
        write(pipeline_of(args.run, embedder, MiniEncoder.from_pretrained(args.encoder)), args.out)
        for judge in ("detector", "clip", "wav2clip"):
            if (args.run / judge).is_dir():
                shutil.copytree(args.run / judge, args.out / judge, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
