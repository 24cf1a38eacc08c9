"""`make mini`: make the mini checkpoint from scratch, stage by stage; finished stages are not repeated.

    python -m experiments.world.training.make_mini --esc10 FOLDER --out runs/mini      # about three hours on two cores

Each stage is a separate command, which is printed before it runs and resumes from its checkpoint. On a GPU, scenes are
painted on the device for every batch, so nothing is cached for the UNet; the embedder's trainer always reads the cache.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

DEFAULT_ESC10 = Path("../shared/esc10")  # beside the checkout; change it with --esc10


@dataclass(frozen=True)
class Stage:
    name: str
    done: Path | None  # skip the stage if it exists; None: the stage itself decides
    module: str
    arguments: tuple[str, ...]


def stages(out: Path, esc10: Path, gpu: bool) -> list[Stage]:
    """Sizes as in the model card on a CPU; longer and with larger batches on a GPU, where it has not been run yet."""
    run, work = str(out), str(out.parent)
    vae, decoder, unet, more = ("700", "300", "2400", "2650") if not gpu else ("4000", "6000", "12000", "13500")
    batch = ("--batch", "24") if not gpu else ("--batch", "256")
    crops = () if not gpu else ("--batch", "128")
    sounds, some, all_folds = ("--esc10", str(esc10)), f"{work}/audio/folds123", f"{work}/audio/shipped"
    held_out_args = ("--run", run, "--encoder", some)  # audio parts trained without fold 4, for measuring
    shipped, detector_dir = ("--run", run, "--encoder", all_folds), f"{run}/detector"
    judge, wav2clip_dir, clip_steps = f"{run}/clip", f"{run}/wav2clip", "2500" if not gpu else "6000"

    def stage(name: str, module: str, *arguments: str, done: str | None = None) -> Stage:
        package = "experiments.world" if module in ("art", "measure") else "experiments.world.training"
        return Stage(name, Path(done) if done else None, f"{package}.{module}", arguments)

    return [
        stage("art", "art", "--out", f"{work}/art", done=f"{work}/art/atlas.safetensors"),
        stage("autoencoder", "train_vae", "--out", run, "--steps", vae, *crops),
        stage("latents", "latents", "--out", run, "--pictures", "24000"),
        stage("UNet", "train_unet", "--out", run, "--steps", unet, *batch),
        stage("UNet, all noise levels", "train_unet", "--out", run, "--steps", more, *batch, "--lr", "4e-3", "--even"),
        stage("decoder", "train_vae", "--out", run, "--steps", decoder, "--decoder", *crops),
        stage("detector", "detector", "--out", detector_dir, done=f"{detector_dir}/model.safetensors"),
        stage("audio encoder, folds 1 to 3", "train_audio", *sounds, "--folds", "1,2,3", "--test", "4", "--out", some),
        stage("its calibration", "calibrate_audio", *sounds, "--model", some, "--folds", "1,2,3"),
        stage(
            "audio encoder, all folds", "train_audio", *sounds, "--folds", "1,2,3,4", "--out", all_folds,
            "--start", some, "--steps", "1400", "--peak", "1e-3",
        ),
        stage(
            "its calibration", "calibrate_audio", *sounds, "--model", all_folds, "--folds", "1,2,3,4",
            "--like", some, "--strictness", "0.009",
        ),
        stage(
            "embedder, folds 1 to 3", "train_embedder", *held_out_args, *sounds,
            "--folds", "1", "2", "3", "--name", "embedder123",
        ),
        stage("embedder", "train_embedder", *shipped, *sounds),
        stage(
            "CLIP for evaluation", "train_clip", "--out", f"{judge}400", "--steps", "400",
            done=f"{judge}400/model.safetensors",
        ),
        stage(
            "CLIP, on other scenes", "train_clip", "--start", f"{judge}400", "--out", judge, "--steps", clip_steps,
            done=f"{judge}/model.safetensors",
        ),
        stage("its painted reference", "painted_reference", "--clip", judge, done=f"{judge}/painted.safetensors"),
        stage(
            "Wav2CLIP, folds 1 to 3", "train_wav2clip", *sounds, "--clip", judge, "--folds", "1", "2", "3",
            "--test", "4", "--steps", "1000", "--out", wav2clip_dir, done=f"{wav2clip_dir}/config.json",
        ),
        stage("assemble", "assemble", *held_out_args, "--embedder", f"{run}/embedder123", "--out", f"{work}/mini123"),
        stage("assemble", "assemble", *shipped, "--out", "audiotoken/mini"),
        stage(
            "measure", "measure", "--model", f"{work}/mini123", *sounds, "--only", "real", "--out", f"{work}/measured",
        ),
        stage(
            "measure", "measure", "--only", "speed", "text", "made", "--out", f"{work}/measured",
            "--card", "audiotoken/mini/README.md",
        ),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/mini"))
    parser.add_argument("--esc10", type=Path, default=DEFAULT_ESC10, help="ESC-10 with metadata.csv, folds 1 to 4")
    args = parser.parse_args()
    if not (args.esc10 / "metadata.csv").is_file():
        sys.exit(f"{args.esc10} has no metadata.csv; pass the folder of ESC-10 recordings with --esc10.")
    for stage in stages(args.out, args.esc10, torch.cuda.is_available()):
        if stage.done is not None and stage.done.exists():
            continue
        command = [sys.executable, "-m", stage.module, *stage.arguments]
        print(f"{stage.name}: {' '.join(['python', *command[1:]])}", flush=True)
        if subprocess.run(command).returncode:
            sys.exit(f"The stage {stage.name} failed; fix the error above and run the same command again to resume.")


if __name__ == "__main__":
    main()
