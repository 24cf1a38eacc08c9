"""Train UNet and text model of the mini checkpoint; the same command goes on exactly where it was stopped.

python -m experiments.world.training.train_unet --out runs/mini --start audiotoken/mini
"""

import random
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPTokenizer

from experiments.world.captions import load_tokenizer
from experiments.world.scenes import Painter
from experiments.world.training import autoencoder, checkpoints, loop, workers
from experiments.world.training.attention import install_attention
from experiments.world.training.loop import Options
from experiments.world.training.shards import Latents, choose_source, measure_latent_scale
from experiments.world.training.unet import CaptionWriter, build_models, build_scheduler, compute_losses
from experiments.world.training.workers import Worker


def train(worker: Worker, options: Options) -> None:
    torch.manual_seed(0)
    out, start = options.out, options.start
    if worker.first:
        load_tokenizer(out)  # makes it
    worker.synchronise()
    tokenizer, scheduler = load_tokenizer(out), build_scheduler()
    models = build_models(tokenizer).to(worker.device)
    models["unet"].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if start is not None and not (out / "unet.pt").exists():
        print(f"{warm_start(models, tokenizer, start):.0%} of the weights come from {start}", flush=True)
    readers = install_attention(models["unet"])
    run = loop.start_run(worker, out / "unet.pt", models, options.lr)
    painter, vae = Painter(options.atlas, worker.device), autoencoder.load_autoencoder(out, worker.device)
    scale = run.state["scale"] if run.state else measure_latent_scale(painter, vae)
    write = CaptionWriter(tokenizer, scale, worker.device)

    def compute_terms(drawn: Latents, seed: int) -> dict[str, Tensor]:
        written = write(drawn, random.Random(seed))
        return compute_losses(models, readers, scheduler, written, torch.Generator().manual_seed(seed))

    source = choose_source(worker, painter, vae, out / "shards", options.focus)
    loop.train_models(run, source, compute_terms, scale, options)


def warm_start(models: nn.ModuleDict, tokenizer: CLIPTokenizer, folder: Path) -> float:
    """Take what fits from a checkpoint's `unet` and `text_encoder` -> the share of the weights."""
    weights = {f"unet.{n}": w for n, w in checkpoints.read_weights(folder / "unet").items()}
    text = convert_text_weights(folder, tokenizer, models["text"])
    return checkpoints.warm_start(models, weights | {f"text.{n}": w for n, w in text.items()})


def convert_text_weights(folder: Path, tokenizer: CLIPTokenizer, model: nn.Module) -> dict[str, Tensor]:
    """The weights of a checkpoint's `text_encoder` for `model`; a word keeps its meaning under another id."""
    text = checkpoints.read_weights(folder / "text_encoder")
    (table,) = (name for name in text if name.endswith("token_embedding.weight"))
    rows = model.state_dict()[table].clone()
    before = CLIPTokenizer.from_pretrained(folder / "tokenizer").get_vocab()
    for token, row in tokenizer.get_vocab().items():
        if token in before:
            rows[row] = text[table][before[token]]
    text[table] = rows
    return text


def main() -> None:
    args = loop.make_parser(__doc__, 1_500_000).parse_args()
    workers.run_workers(train, loop.read_options(args), workers=args.workers)


if __name__ == "__main__":
    main()
