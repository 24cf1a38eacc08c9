"""All that a lent GPU is needed for, by one command, in a few minutes and in order of importance.

    python -m experiments.world.art --out runs/art             # first, where there is internet: what mini paints with
    python -m experiments.bench gpu                            # Stable Diffusion 1's size, eight minutes
    python -m experiments.bench gpu geometry=debug device=cpu minutes=5     # a rehearsal
    python -m experiments.bench gpu report=true                # the tables, from what was written

Stages: pictures in float16 and bfloat16 with finite latents, plain and guided; the cost of guidance; the cost of
training; more scenes for the mini checkpoint in the time that is left, its checkpoint in pieces that are small enough
to be handed over. A stage is a process of its own with a limit; what it was and said stands in `out`/NAME.json. A
second call leaves out the stages that succeeded, and the training goes on where it was stopped.

Where diffusers is not installed and cannot be fetched, `gpu.sh` beside this file brings it as wheels.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from audiotoken.errors import OptionError
from audiotoken.writing import write_bytes
from experiments.benchmarks.guidance import BOXES, STEPS, Setting, build_pipeline
from experiments.benchmarks.process import place
from experiments.hydra_cli import run_from_signature
from guidance import Region, sample

PIECE = 15 * 2**20  # bytes of a checkpoint's pieces
PRECISIONS = ("float16", "bfloat16")
GRACE = 30.0  # seconds for a stage that is asked to stop to write its checkpoint
NAMES = ("smoke", "guidance", "train", "vae", "mini")


@dataclass(frozen=True)
class Stage:
    """A command, and the share of all the time that it gets at most."""

    name: str
    command: tuple[str, ...]
    share: float


def bench_gpu(
    *,
    geometry: str | None = None,
    device: str | None = None,
    minutes: float = 8.0,
    training: bool = True,
    atlas: str | os.PathLike = "runs/art/atlas.safetensors",
    report: bool = False,
    out: str | os.PathLike = "runs/gpu",
    on_row: Callable[[str], None] | None = None,
) -> str:
    """Run the stages that have not succeeded yet -> the tables, which are also in `out`/report.md.

    minutes: for all of them. training: also train the mini checkpoint in the time that is left, on scenes painted from
    `atlas`. report: run nothing.
    """
    folder, tell = Path(out), on_row or (lambda text: None)
    if minutes <= 0:
        raise OptionError(f"Got minutes={minutes:g}, expected more than 0; 8 are usual.")
    if training and not report and not Path(atlas).is_file():
        raise OptionError(
            f"There is no {atlas}, which the scenes are painted from; make it with `python -m experiments.world.art`, "
            "or pass training=false."
        )
    if not report:
        device, geometry = place(device, geometry)
        stages = list_stages(geometry, device, folder, Path(atlas) if training else None)
        run_stages(stages, 60 * minutes, folder, tell)
        if training:
            split_large(folder / "mini", folder / "pieces")
    text = write_report(folder)
    write_bytes(text.encode(), folder / "report.md")
    return text


def list_stages(geometry: str, device: str, folder: Path, atlas: Path | None = None) -> list[Stage]:
    """In order of importance; the mini checkpoint is trained where there is an atlas."""
    here = (sys.executable, "-m")
    common = (f"geometry={geometry}", f"device={device}")
    on_gpu = device.startswith("cuda")
    precision = "float16" if on_gpu else "float32"
    stages = [
        Stage("smoke", (*here, "experiments.benchmarks.gpu", "smoke", geometry, device), 0.25),
        Stage(
            "guidance",
            (*here, "experiments.bench", "guidance", *common, f"precision={precision}", "pictures=2", "repeats=1",
             f"out={folder / 'guidance'}"),
            0.35,
        ),
        Stage(
            "train",
            (*here, "experiments.bench", "train", *common, "precisions=[bfloat16]", "batch_sizes=[4]",
             "ways=[published,cached]", "repeats=1", "steps=8", "warmup=2", "compile=false", f"out={folder / 'train'}"),
            0.35,
        ),
    ]  # fmt: skip
    if atlas is None:
        return stages
    work, start = ("--atlas", str(atlas), "--out", str(folder / "mini"), "--workers", "1"), "audiotoken/mini"
    module = "experiments.world.training"
    batch = "512" if on_gpu else "8"
    return [
        *stages,
        Stage("vae", (*here, f"{module}.autoencoder", *work, "--start", f"{start}/vae", "--steps", "0"), 0.2),
        Stage("mini", (*here, f"{module}.train_unet", *work, "--start", start, "--batch", batch), 1.0),
    ]


def run_stages(stages: Sequence[Stage], seconds: float, folder: Path, tell: Callable[[str], None]) -> None:
    """One after the other, each at most for its share of `seconds`; those that succeeded before are left out."""
    end = time.monotonic() + seconds
    for stage in stages:
        before = _read(folder, stage.name) if (folder / f"{stage.name}.json").exists() else {}
        if before.get("code") == 0 and before["command"] == list(stage.command):
            tell(f"{stage.name}: done before")
            continue
        left = end - time.monotonic()
        if left < 1:
            tell(f"{stage.name}: no time is left")
            return
        result = run_stage(stage, min(left, seconds * stage.share), folder)
        tell(f"{stage.name}: code {result['code']} after {result['seconds']:.0f} s")


def run_stage(stage: Stage, limit: float, folder: Path) -> dict[str, Any]:
    """Run a stage for `limit` seconds at most and write what it was and said.

    Then it is asked to stop, and soon stopped, with all processes that it started.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with (folder / f"{stage.name}.log").open("w") as log:
        process = subprocess.Popen(
            stage.command,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        try:
            code: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
            stop_group(process, GRACE)
    said = (folder / f"{stage.name}.log").read_text(errors="replace")[-4000:]
    result = asdict(stage) | {"limit": limit, "seconds": time.monotonic() - began, "code": code, "said": said}
    write_bytes(json.dumps(result, indent=1).encode(), folder / f"{stage.name}.json")
    return result


def stop_group(process: subprocess.Popen, grace: float) -> None:
    """Ask a process and all that it started to stop, and stop them after `grace` seconds."""
    os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run_smoke_test(geometry: str, device: str) -> str:
    """Draw in each precision with each kind of guidance; an error where latents are not finite -> what was drawn."""
    lines = []
    for precision in PRECISIONS:
        pipe = build_pipeline(Setting(geometry, device, precision, STEPS[geometry], 1, torch.get_num_threads()))
        prompt = pipe.encode_prompts("a dog and a frog")[0]
        regions = [Region(box, at) for box, at in zip(BOXES, ((2,), (5,)), strict=True)]
        for energy in ("none", "combined", "layout", "regional"):
            drawn = sample(pipe, prompt, regions=regions, energy=energy, num_inference_steps=4)  # raises if not finite
            lost = sum(sum(step.not_finite) for step in drawn.trace)
            spread = float(drawn.latents.float().std())
            lines.append(f"{precision} {energy}: spread of latents {spread:.3g}, gradients that were not finite {lost}")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def split_large(source: Path, target: Path) -> list[Path]:
    """Copy the models below `source` to `target`, large ones in pieces (`cat FILE.0* > FILE` joins them).

    Scenes that can be painted again stay.
    """
    written = []
    for file in sorted(path for path in source.rglob("*") if path.is_file() and path.parent.name != "shards"):
        data, goal = file.read_bytes(), target / file.relative_to(source)
        goal.parent.mkdir(parents=True, exist_ok=True)
        pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)] or [b""]
        for number, piece in enumerate(pieces):
            written.append(goal if len(pieces) == 1 else goal.with_name(f"{goal.name}.{number:03}"))
            write_bytes(piece, written[-1])
    return written


def write_report(folder: Path) -> str:
    """Markdown: what each stage said of itself, and the tables that it wrote."""
    parts = []
    for name in NAMES:
        if not (folder / f"{name}.json").exists():
            continue
        result = _read(folder, name)
        end = "stopped at its limit" if result["code"] is None else f"exit code {result['code']}"
        parts.append(f"## {name}: {end}, {result['seconds']:.0f} s\n\n`{' '.join(result['command'][1:])}`")
        table = folder / name / "table.md"
        lines = result["said"].strip().splitlines()[-12:]
        parts.append(table.read_text().rstrip() if table.exists() else "\n".join(["```", *lines, "```"]))
    return "\n\n".join(parts) + "\n"


def _read(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return content


def main(arguments: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["smoke"]:
        run_smoke_test(*words[1:3])
    else:
        run_from_signature(bench_gpu)


if __name__ == "__main__":
    main()
