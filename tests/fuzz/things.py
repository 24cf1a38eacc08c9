"""What commands are given in the fuzz by kinds: recordings, pictures, models and folders of ours, made once."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

RATE = 16_000
SETUP = ("--setup", "panned")


def two_sources(seconds: float = 0.6, rate: int = RATE, seed: int = 0) -> NDArray[np.float32]:
    """(2, frames): noise on the left and, later, a tone on the right."""
    time = np.arange(round(seconds * rate)) / rate
    noise = 0.1 * np.random.default_rng(seed).normal(size=len(time)) * (time < seconds / 2)
    tone = 0.2 * np.sin(2 * np.pi * 700 * time) * (time > seconds / 3)
    return np.stack([noise + 0.2 * tone, 0.2 * noise + tone]).astype(np.float32)


def write_clip(path: Path, sound: NDArray | None = None, rate: int = RATE) -> Path:
    """A WAV file under any name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        soundfile.write(file, (two_sources() if sound is None else sound).T, rate, format="WAV", subtype="FLOAT")
    return path


def write_picture(path: Path, colour: str = "red") -> Path:
    """A PNG file under any name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        Image.new("RGB", (32, 32), colour).save(file, "PNG")
    return path


@cache
def store() -> Path:
    """A folder of this process for what takes long to make."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-things"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def copy(make: Callable[[], Path], where: Path) -> Path:
    """What `make` made, copied to `where`, so that it may be spoilt."""
    shutil.copytree(make(), where, symlinks=True)
    return where


@cache
def model() -> Path:
    """A whole model of random weights."""
    from audiotoken.debug import debug_pipeline

    debug_pipeline().save_pretrained(store() / "model")
    return store() / "model"


@cache
def base() -> Path:
    """A text-to-image model in the layout of diffusers."""
    from audiotoken.debug import debug_folder

    return debug_folder("sd1", store() / "base")


@cache
def pairs() -> Path:
    """Clips and pictures in folders for two labels."""
    for number, name in enumerate(("dog/a", "dog/b", "bell/c", "bell/d")):
        write_clip(store() / "pairs" / f"{name}.wav", two_sources(seed=number))
        write_picture(store() / "pairs" / f"{name}.png", ("red", "blue")[number % 2])
    return store() / "pairs"


@cache
def prepared() -> Path:
    """What `audiotoken prepare` makes of the pairs."""
    from audiotoken.data import PairFolder
    from audiotoken.tasks.prepare import prepare

    prepare(PairFolder(pairs()), store() / "prepared", model=str(model()), seconds=0.5, shard_size=2)
    return store() / "prepared"


@cache
def trained() -> Path:
    """A run of two steps on what was prepared, without the samples."""
    from audiotoken.cli.composing import compose_config, train_from_config

    options = {"data": prepared(), "out": store() / "run", "model": model(), "batch": 2, "settings.steps": 2}
    config = compose_config("train", ["recipe=mini"], ["log=null", "sample_every=100"], options)
    train_from_config(config, quiet=True)
    return store() / "run"


@cache
def study() -> Path:
    """What `audiotoken rate` reads, with a few answers."""
    from contextlib import closing

    from audiotoken.rating.store import FILE, Answer, Store

    folder = store() / "study"
    for name in ("dog", "bell"):
        write_clip(folder / "clips" / f"{name}.wav")
        for system in ("one", "two"):
            write_picture(folder / system / f"{name}.png")
    (folder / "objects.json").write_text('{"dog": ["a dog on the left", "a bell on the right"]}')
    with closing(Store(folder / FILE)) as answers:
        for clip in ("dog", "bell"):
            for system, answer in (("one", "4"), ("two", "2")):
                answers.put(Answer("anna", clip, system, "belongs", answer))
    return folder


@cache
def drawn() -> Path:
    """Pictures of a folder of clips, with the log by which an interrupted run continues."""
    from audiotoken.tasks.folder import draw_folder

    draw_folder(pairs(), store() / "drawn", model=str(model()), steps=1)
    return store() / "drawn"


def put(path: str | os.PathLike, content: bytes) -> None:
    """Write a file that may be a link to one of `store`: the link goes, the file stays."""
    if os.path.islink(path):
        os.unlink(path)
    Path(path).write_bytes(content)
