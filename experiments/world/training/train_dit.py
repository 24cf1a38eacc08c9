"""Train `mini-dit` on the frozen autoencoder of the mini checkpoint; the same command goes on where it was stopped.

python -m experiments.world.training.train_dit --out runs/mini
python -m experiments.world.training.train_dit --out runs/mini --write runs/mini-dit      # a model folder, for --model

The folder has mini's audio encoder, whose labels become words of the prompt. diffusers' own class draws with it too:

    options = {"text_encoder_3": None, "tokenizer_3": None, "torch_dtype": torch.float32}
    pipe = StableDiffusion3Pipeline.from_pretrained("runs/mini-dit", **options)
    pipe("a dog by a river", guidance_scale=4.0, max_sequence_length=0).images[0]
"""

from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import CLIPTokenizer

from audiotoken.encoders.mini import MiniEncoder
from audiotoken.pipeline_sd3 import AudioTokenSD3Pipeline
from experiments.world.captions import load_tokenizer
from experiments.world.scenes import Painter
from experiments.world.training import autoencoder, checkpoints, dit, loop, workers
from experiments.world.training.assemble import STEPS, write_folder
from experiments.world.training.loop import Options
from experiments.world.training.shards import Latents, choose_source, measure_latent_scale
from experiments.world.training.train_unet import convert_text_weights
from experiments.world.training.unet import CaptionWriter
from experiments.world.training.workers import Worker

GUIDANCE = 4.0  # with which the figures of mini-dit were measured


def train(worker: Worker, options: Options) -> None:
    torch.manual_seed(0)
    out, start = options.out, options.start
    if worker.first:
        load_tokenizer(out)  # makes it
    worker.synchronise()
    tokenizer = dit.shorten_tokenizer(load_tokenizer(out))
    models = dit.build_models(tokenizer).to(worker.device)
    if start is not None and not (out / "dit.pt").exists():
        print(f"{warm_start(models, tokenizer, start):.0%} of the weights come from {start}", flush=True)
    run = loop.start_run(worker, out / "dit.pt", models, options.lr)
    painter, vae = Painter(options.atlas, worker.device), autoencoder.load_autoencoder(out, worker.device)
    scale = run.state["scale"] if run.state else measure_latent_scale(painter, vae)
    writer = CaptionWriter(tokenizer, scale, worker.device)

    def compute_terms(drawn: Latents, seed: int) -> dict[str, Tensor]:
        return dit.compute_losses(run.models, writer, drawn, seed)

    source = choose_source(worker, painter, vae, out / "dit-shards", options.focus)  # the UNet's may be further on
    loop.train_models(run, source, compute_terms, scale, options)


def warm_start(models: nn.ModuleDict, tokenizer: CLIPTokenizer, folder: Path) -> float:
    """Take what fits from a checkpoint's `text_encoder`: the words are read as its UNet reads them."""
    words: Any = models["text"].text_model
    text = convert_text_weights(folder, tokenizer, words)
    return checkpoints.warm_start(models, {f"text.text_model.{name}": weights for name, weights in text.items()})


def build_pipeline(run: Path, average: float = loop.AVERAGES[0]) -> AudioTokenSD3Pipeline:
    """The pipeline of what the run has learned, in float32."""
    state = workers.load_state(run / "dit.pt")
    if state is None:
        raise SystemExit(f"{run} holds no dit.pt: train it first, or name the folder with --out.")
    (weights,) = (e["weights"] for e in state["emas"] if e["decay"] == average)
    tokenizer, vae = dit.shorten_tokenizer(load_tokenizer(run)), autoencoder.load_autoencoder(run, torch.device("cpu"))
    models = dit.build_models(tokenizer)
    models.load_state_dict(weights)
    vae.register_to_config(scaling_factor=state["scale"], shift_factor=0.0)
    text = models["text"].eval()
    return AudioTokenSD3Pipeline(
        transformer=models["transformer"].eval(),
        scheduler=dit.build_scheduler(),
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        text_encoder_2=text,
        tokenizer_2=tokenizer,
        audio_encoder=MiniEncoder.from_pretrained(str(files("audiotoken.mini") / "audio_encoder")),
        default_steps=STEPS,
        default_guidance=GUIDANCE,
        max_sequence_length=0,  # there is no T5
    )


def main() -> None:
    parser = loop.make_parser(__doc__, 500_000)
    parser.add_argument("--write", type=Path, default=None, help="write the pipeline here instead of training")
    args = parser.parse_args()
    if args.write:
        write_folder(build_pipeline(args.out), args.write)
        return
    workers.run_workers(train, loop.read_options(args), workers=args.workers)


if __name__ == "__main__":
    main()
