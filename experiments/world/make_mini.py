"""`make mini`: everything the mini checkpoint is made of, from scratch, in order; finished stages are not repeated.

    python -m experiments.world.make_mini --esc10 FOLDER --out runs/mini      # hours on two cores, minutes on a GPU

Each stage is a command of its own, printed before it runs, and resumes from its checkpoint. On a GPU scenes are painted
on the device for every batch, so nothing is cached for the UNet; the embedder's trainer always reads the cache.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

DEFAULT_ESC10 = Path("../shared/esc10")  # beside the checkout; elsewhere: --esc10


@dataclass(frozen=True)
class Stage:
    name: str
    done: Path | None  # skip when it exists; None: the stage itself knows
    module: str
    arguments: tuple[str, ...]


def stages(out: Path, esc10: Path, gpu: bool) -> list[Stage]:
    """What the model card's figures were made with on a CPU; longer and in larger batches on a GPU."""
    run, work = str(out), str(out.parent)
    vae, decoder, unet = ("700", "500", "2700") if not gpu else ("4000", "6000", "12000")
    batch = ("--batch", "24") if not gpu else ("--batch", "256")
    crops = () if not gpu else ("--batch", "128")
    audio = ("--esc10", str(esc10))
    world = "experiments.world."
    return [
        Stage("art", Path(work) / "art/atlas.safetensors", world + "art", ("--out", f"{work}/art")),
        Stage("autoencoder", None, world + "train_vae", ("--out", run, "--steps", vae, *crops)),
        Stage("latents", None, world + "latents", ("--out", run, "--pictures", "40000")),
        Stage("UNet", None, world + "train_unet", ("--out", run, "--steps", unet, *batch)),
        Stage("decoder", None, world + "train_vae", ("--out", run, "--steps", decoder, "--decoder", *crops)),
        Stage("detector", out / "detector/model.safetensors", world + "detector", ("--out", f"{run}/detector")),
        Stage(
            "audio encoder", None, world + "train_audio", (*audio, "--folds", "1,2,3,4", "--out", f"{work}/audio/all")
        ),
        Stage("embedder", None, world + "train_embedder", ("--run", run, *audio)),
        Stage("assemble", None, world + "assemble", ("--run", run, "--out", "audiotoken/mini")),
        Stage("measure", None, world + "measure", ("--model", "mini", "--out", f"{work}/measured")),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/mini"))
    parser.add_argument("--esc10", type=Path, default=DEFAULT_ESC10, help="ESC-10 with metadata.csv, folds 1 to 4")
    args = parser.parse_args()
    if not (args.esc10 / "metadata.csv").is_file():
        sys.exit(f"{args.esc10} holds no metadata.csv: give the folder of ESC-10 recordings with --esc10.")
    for stage in stages(args.out, args.esc10, torch.cuda.is_available()):
        if stage.done is not None and stage.done.exists():
            continue
        command = [sys.executable, "-m", stage.module, *stage.arguments]
        print(f"{stage.name}: {' '.join(['python', *command[1:]])}", flush=True)
        if subprocess.run(command).returncode:
            sys.exit(
                f"The stage {stage.name} stopped; mend what it says above and run the same command again to go on."
            )


if __name__ == "__main__":
    main()
