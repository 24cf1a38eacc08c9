"""Combine checkpoints of the training stages in one folder in the layout of diffusers.

python -m experiments.world.training.assemble --run runs/mini --out audiotoken/mini
"""

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from audiotoken.embedder import AudioEmbedder
from audiotoken.encoders.mini import MiniEncoder
from audiotoken.pipeline import AudioTokenPipeline
from audiotoken.unknown import load_familiarity
from experiments.world.captions import load_tokenizer
from experiments.world.training import autoencoder, workers
from experiments.world.training.attention import SUPERVISED
from experiments.world.training.loop import AVERAGES
from experiments.world.training.unet import build_models, build_sampler

STEPS, GUIDANCE = 20, 2.5  # used for the measurements and the shipped checkpoint
SHARD = "15MB"
TRACES = ("_name_or_path", "is_local", "local_files_only")  # of the machine that a part was loaded on


def build_pipeline(
    run: Path,
    embedder: AudioEmbedder | None = None,
    encoder: MiniEncoder | None = None,
    average: float = AVERAGES[0],
) -> AudioTokenPipeline:
    """The pipeline of the run so far, in float32, with the averaged weights of this relative width."""
    state = workers.load_state(run / "unet.pt")
    if state is None:
        raise SystemExit(f"{run} has no unet.pt; run `make mini`, or pass the folder with --run.")
    (weights,) = (saved["weights"] for saved in state["emas"] if saved["decay"] == average)
    tokenizer, vae = load_tokenizer(run), autoencoder.load_autoencoder(run, torch.device("cpu"))
    models = build_models(tokenizer)
    models.load_state_dict(weights)
    vae.register_to_config(scaling_factor=state["scale"])
    pipe = AudioTokenPipeline(
        vae=vae,
        text_encoder=models["text"].eval(),
        tokenizer=tokenizer,
        unet=models["unet"].eval(),
        scheduler=build_sampler(),
        audio_encoder=encoder,
        audio_embedder=embedder,
        default_steps=STEPS,
        default_guidance=GUIDANCE,
        guidance_layers=" ".join(SUPERVISED),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def write_folder(pipe: Any, out: Path) -> None:
    """Write half-precision safetensors in shards below 16 MB; other files (card, package) are kept."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        pipe.to(torch.float16)
        for part in (pipe.audio_encoder, pipe.audio_embedder):
            if part is not None:
                part.half()
        pipe.save_pretrained(folder, safe_serialization=True, max_shard_size=SHARD)
        for path in (*Path(folder).glob("*/*config.json"), Path(folder) / "model_index.json"):
            kept = {key: value for key, value in json.loads(path.read_text()).items() if key not in TRACES}
            path.write_text(json.dumps(kept, indent=2) + "\n")
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
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--average", type=float, default=AVERAGES[0], choices=AVERAGES)
    args = parser.parse_args()
    embedder = AudioEmbedder.from_pretrained(args.embedder or args.run / "embedder")
    familiarity = load_familiarity(args.encoder)  # before the folder is written: it may be the same one
    write_folder(build_pipeline(args.run, embedder, MiniEncoder.from_pretrained(args.encoder), args.average), args.out)
    if familiarity:
        familiarity.save(args.out / "audio_encoder")
    for judge in ("detector", "judge", "clip", "wav2clip"):
        if (args.run / judge).is_dir():
            shutil.copytree(args.run / judge, args.out / judge, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
