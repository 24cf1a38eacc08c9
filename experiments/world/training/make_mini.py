"""`make mini`: make the mini checkpoint from scratch, stage by stage, behind everything else that the machine does.

    python -m experiments.world.training.make_mini --esc10 FOLDER --out runs/mini
    python -m experiments.world.training.make_mini --from decoder        # the UNet is good enough: go on from there
    python -m experiments.world.training.make_mini --dit                 # the transformer sibling, runs/mini-dit

Each stage is a separate command, which is printed before it runs. The same command resumes: finished stages are not
repeated, and a stage that was stopped goes on from its last checkpoint to the bit, with the same number of workers.
The UNet takes nearly all of the time: its 1.5 million scenes are 26 hours at the 16 scenes a second of two cores, and
8 at the 50 of two with AMX. Its learning rate falls so that it can be stopped at any time. To go
on from weights alone, call `train_unet` with `--start FOLDER --seen SCENES`, and with `--cooling SCENES` at the end.
On a GPU scenes are painted on the device for every batch; these sizes have not been run yet. To stop everything:

    kill -- -$(cat runs/mini/make_mini.pid)
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock, Timeout

DEFAULT_ESC10 = Path("../shared/esc10")  # beside the checkout; change it with --esc10


@dataclass(frozen=True)
class Stage:
    name: str
    done: Path | None  # skip the stage if it exists; None: the stage itself decides
    module: str
    arguments: tuple[str, ...]


def make_stage(name: str, module: str, *arguments: str, done: str | None = None) -> Stage:
    package = "experiments.world" if module in ("art", "measure") else "experiments.world.training"
    return Stage(name, Path(done) if done else None, f"{package}.{module}", arguments)


def list_picture_stages(out: Path, gpu: bool, workers: int, scenes: int, start: Path | None) -> list[Stage]:
    """The art, and what draws: autoencoder, UNet with text model, and at last a sharper decoder of the same latents."""
    art = f"{out.parent}/art"
    common = ("--atlas", f"{art}/atlas.safetensors", "--out", str(out), "--workers", str(workers))
    crops = ("--batch", "128" if gpu else "16")  # a worker and step, as below
    vae, unet = ((), ()) if start is None else (("--start", f"{start}/vae"), ("--start", str(start)))
    return [
        make_stage("art", "art", "--out", art, done=f"{art}/atlas.safetensors"),
        make_stage("autoencoder", "autoencoder", *common, "--steps", "3000" if gpu else "1150", *crops, *vae),
        make_stage("unet", "train_unet", *common, "--scenes", str(scenes), "--batch", "512" if gpu else "32", *unet),
        make_stage("decoder", "autoencoder", *common, "--steps", "6000", *crops, "--decoder"),
    ]


def list_transformer_stages(out: Path, gpu: bool, workers: int, scenes: int) -> list[Stage]:
    """`mini-dit` on the art and the autoencoder of the mini checkpoint."""
    atlas, size = f"{out.parent}/art/atlas.safetensors", ("--batch", "512" if gpu else "32")
    train = ("--atlas", atlas, "--out", str(out), "--workers", str(workers), "--scenes", str(scenes), *size)
    return [
        *list_picture_stages(out, gpu, workers, scenes, None)[:2],
        make_stage("transformer", "train_dit", *train),
        make_stage("transformer-folder", "train_dit", "--out", str(out), "--write", f"{out.parent}/mini-dit"),
    ]


def list_listening_stages(out: Path, esc10: Path) -> list[Stage]:
    """The audio encoder and the embedder, once without fold 4, for measuring, and once to ship."""
    run, work = str(out), str(out.parent)
    sounds, some, all_folds = ("--esc10", str(esc10)), f"{work}/audio/folds123", f"{work}/audio/shipped"
    embed = ("--run", run, "--atlas", f"{work}/art/atlas.safetensors", *sounds)
    three, four = ("--folds", "1,2,3"), ("--folds", "1,2,3,4")
    more = ("--start", some, "--steps", "1400", "--peak", "1e-3")
    like = ("--like", some, "--strictness", "0.009")
    return [
        make_stage("encoder123", "train_audio", *sounds, *three, "--test", "4", "--out", some),
        make_stage("encoder123-calibration", "calibrate_audio", *sounds, "--model", some, *three),
        make_stage("encoder", "train_audio", *sounds, *four, "--out", all_folds, *more),
        make_stage("encoder-calibration", "calibrate_audio", *sounds, "--model", all_folds, *four, *like),
        make_stage(
            *("embedder123", "train_embedder", *embed, "--encoder", some),
            *("--folds", "1", "2", "3", "--name", "embedder123"),
        ),
        make_stage("embedder", "train_embedder", *embed, "--encoder", all_folds),
    ]


def list_judge_stages(out: Path, esc10: Path, gpu: bool) -> list[Stage]:
    """What looks at pictures and listens to sounds without having seen or heard the checkpoint."""
    art = f"{out.parent}/art"
    atlas, drawings = ("--atlas", f"{art}/atlas.safetensors"), f"{art}/judge.safetensors"
    names = ("detector", "judge", "clip400", "clip", "wav2clip")
    detector, judge, first, clip, wav2clip = (f"{out}/{name}" for name in names)
    folds, steps = ("--folds", "1", "2", "3", "--test", "4"), "6000" if gpu else "2500"
    return [
        make_stage("detector", "detector", *atlas, "--out", detector, done=f"{detector}/model.safetensors"),
        make_stage("judge-art", "judge_art", "--out", art, done=drawings),
        make_stage(
            *("judge", "train_judge", *atlas, "--drawings", drawings, "--start", detector, "--out", judge),
            done=f"{judge}/model.safetensors",
        ),
        make_stage(
            *("clip400", "train_clip", *atlas, "--out", first, "--steps", "400"), done=f"{first}/model.safetensors"
        ),
        make_stage(
            *("clip", "train_clip", *atlas, "--start", first, "--out", clip, "--steps", steps),
            done=f"{clip}/model.safetensors",
        ),
        make_stage(
            *("painted", "painted_reference", *atlas, "--clip", clip, "--detector", detector),
            done=f"{clip}/painted.safetensors",
        ),
        make_stage(
            *("wav2clip", "train_wav2clip", *atlas, "--esc10", str(esc10), "--clip", clip, *folds),
            *("--steps", "1000", "--out", wav2clip),
            done=f"{wav2clip}/config.json",
        ),
    ]


def list_final_stages(out: Path, esc10: Path) -> list[Stage]:
    """One folder for measuring on fold 4 and the one that ships; the figures of its card."""
    run, work = ("--run", str(out)), str(out.parent)
    parts123 = ("--encoder", f"{work}/audio/folds123", "--embedder", f"{out}/embedder123")
    measured, card = ("--out", f"{work}/measured"), ("--card", "audiotoken/mini/README.md")
    return [
        make_stage("assemble123", "assemble", *run, *parts123, "--out", f"{work}/mini123"),
        make_stage("assemble", "assemble", *run, "--encoder", f"{work}/audio/shipped", "--out", "audiotoken/mini"),
        make_stage(
            *("measure123", "measure", "--model", f"{work}/mini123"),
            *("--esc10", str(esc10), "--only", "real", *measured),
        ),
        make_stage("measure", "measure", "--only", "speed", "text", "made", *measured, *card),
    ]


def list_stages(
    out: Path, esc10: Path, *, gpu: bool, workers: int = 2, scenes: int = 1_500_000, start: Path | None = None
) -> list[Stage]:
    return [
        *list_picture_stages(out, gpu, workers, scenes, start),
        *list_judge_stages(out, esc10, gpu),
        *list_listening_stages(out, esc10),
        *list_final_stages(out, esc10),
    ]


def select_stages(plan: Sequence[Stage], first: str | None, last: str | None) -> list[Stage]:
    """The stages from the one called `first` to the one called `last`."""
    names = [each.name for each in plan]
    for name in (first, last):
        if name not in (None, *names):
            sys.exit(f"There is no stage {name}; choose one of {', '.join(names)}.")
    return list(plan[names.index(first) if first else 0 : names.index(last) + 1 if last else None])


def run_stages(plan: Sequence[Stage]) -> None:
    """One stage after the other, each in a process of its own."""
    for each in plan:
        if each.done is not None and each.done.exists():
            continue
        command = [sys.executable, "-m", each.module, *each.arguments]
        print(f"{each.name}: {' '.join(['python', *command[1:]])}", flush=True)
        if subprocess.run(command).returncode:
            sys.exit(f"The stage {each.name} failed; fix the error above and run the same command again to resume.")


def lower_priority() -> None:
    """Take the processor when nothing else wants it; Linux shares it among sessions first, then by niceness."""
    os.nice(19)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/mini"))
    parser.add_argument("--esc10", type=Path, default=DEFAULT_ESC10, help="ESC-10 with metadata.csv, folds 1 to 4")
    parser.add_argument("--workers", type=int, default=torch.cuda.device_count() or 2, help="processes that draw")
    parser.add_argument("--scenes", type=int, default=1_500_000, help="scenes that the UNet or the transformer sees")
    parser.add_argument("--start", type=Path, default=None, help="checkpoint to take weights from, such as mini's")
    parser.add_argument("--from", dest="first", default=None, metavar="STAGE", help="begin with this stage")
    parser.add_argument("--until", dest="last", default=None, metavar="STAGE", help="end with this stage")
    parser.add_argument("--dit", action="store_true", help="make the transformer sibling instead")
    args = parser.parse_args()
    sizes = {"gpu": torch.cuda.is_available(), "workers": args.workers, "scenes": args.scenes}
    plan = (
        list_transformer_stages(args.out, **sizes)
        if args.dit
        else list_stages(args.out, args.esc10, start=args.start, **sizes)
    )
    plan = select_stages(plan, args.first, args.last)
    if any("--esc10" in each.arguments for each in plan) and not (args.esc10 / "metadata.csv").is_file():
        sys.exit(f"{args.esc10} has no metadata.csv; pass the folder of ESC-10 recordings with --esc10.")
    args.out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(args.out / "make_mini.lock", timeout=0):
            (args.out / "make_mini.pid").write_text(f"{os.getpgid(0)}\n")
            lower_priority()
            run_stages(plan)
    except Timeout:
        sys.exit(f"{args.out} is being trained already; wait for it, or stop it as this module says.")


if __name__ == "__main__":
    main()
