"""What a machine or a model cannot do: write more bytes, read more words, compute with larger numbers.

A file may not grow beyond some bytes, as on a disk that is full; a prompt is longer than the text encoder reads; the
weights of a model overflow, as they do in half precision. Nothing of it may pass without a word.
"""

import json
import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from tests.fuzz import things
from tests.fuzz.cases import described, hold
from tests.fuzz.inputs import Rng, pick
from tests.fuzz.watched import run_command

SETUP = "--setup panned"
DRAW = "--model {model} --steps 1"
WRITERS = (  # every kind of file that a command writes
    f"place clip.wav -o out.png --boxes {DRAW} {SETUP}",
    f"place clip.wav -o out.jpg --report out.html {DRAW} {SETUP}",
    f"place pairs -o out {DRAW} {SETUP}",
    f"generate clip.wav -o out.webp --count 2 --report page.png {DRAW}",
    f"generate pairs -o out --report page.html {DRAW}",
    f"animate clip.wav -o out.gif --frames 2 {DRAW} {SETUP}",
    f"animate clip.wav -o out.mp4 --frames 2 --report out.html {DRAW} {SETUP}",
    f"listen clip.wav --no-labels --stems out --json out.json {SETUP}",
    f"listen clip.wav --no-labels --plot out.png --report out.html {SETUP}",
    f"layout clip.wav --words dog,bell -o out.json --report out.html {SETUP}",
    f"check real.png clip.wav --words dog,bell -o out.json --figure out.png {SETUP}",
    "assemble --base {base} --encoder mini -o out",
    "prepare --source pairs -o out --model {model} --seconds 0.5 shard_size=2",
    "train --data data -o out --model {model} --recipe mini --steps 2 --batch 2 log=null",
    "evaluate --clips pairs --pictures pairs -o out resamples=9",
    "rate study --table",
)


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Context manager: no file of this process grows beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def disk(rng: Rng, folder: Path) -> str:
    """A command that finds no room for one of its files: the sentence says so, and none is there in part."""
    import matplotlib.font_manager  # noqa: F401  # it writes a file of its own

    line, size = pick(rng, WRITERS), int(10 ** rng.uniform(0, 6))
    things.write_clip(folder / "clip.wav")
    things.write_picture(folder / "real.png")
    for name, make in (("pairs", things.pairs), ("data", things.prepared), ("study", things.study)):
        if name in line:
            things.copy(make, folder / name)
    arguments = line.format(model=things.model(), base=things.base()).split()
    own = [f"study/ratings.{kind}" for kind in ("md", "csv", "tex", "sqlite", "sqlite-wal", "sqlite-shm")]
    what = f"{size} bytes"
    try:
        with files_at_most(size):
            run_command(arguments, folder, what, own=own, resumes=True)
    finally:
        with described(f"{what}; {line}"):
            check_whole(folder)
    return f"{what}; {line}"


def check_whole(folder: Path) -> None:
    """Every file below a folder can be read to its end."""
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        read = READ.get(path.suffix)
        try:
            hold(read is None or read(path) is not False, f"{path.name} is there in part")
        except (OSError, ValueError, SyntaxError, SafetensorError, soundfile.SoundFileError, sqlite3.Error) as error:
            hold(False, f"{path.name} is there in part: {error}")


def _read_picture(path: Path) -> None:
    with Image.open(path) as picture:
        picture.verify()  # notices a PNG without its end, and closes the file
    with Image.open(path) as picture:
        for frame in range(getattr(picture, "n_frames", 1)):
            picture.seek(frame)
            picture.load()


def _read_table(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as file:
        return file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


READ: dict[str, Callable[[Path], Any]] = {
    **dict.fromkeys((".png", ".jpg", ".webp", ".gif"), _read_picture),
    ".json": lambda path: json.loads(path.read_text()),
    ".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
    ".wav": soundfile.read,
    ".html": lambda path: path.read_text().rstrip().endswith("</html>"),
    ".safetensors": load_file,
    ".sqlite": _read_table,
}


FILLERS = ("a", "word", "photo", "red,", "tremendously", "é", "🐕", "12", "(b)")
PLACED = ("dog", "bell", "<audio>", "(<audio>:1.3)")


def prompts(rng: Rng, folder: Path) -> str:
    """A prompt about as long as the text encoder reads: what is cut is said; a sound or a placed word never is."""
    things.write_clip(folder / "clip.wav")
    before, after = (" ".join([pick(rng, FILLERS)] * int(rng.integers(0, 90))) for _ in range(2))
    word = pick(rng, PLACED)
    text = f"{before} {word} {after}".strip()
    command = pick(rng, ("generate", "place", "animate"))
    negative = command == "generate" and "audio" not in word
    given = ["--negative-prompt", text] if negative else ["--prompt", text]
    arguments = [command, "clip.wav", "-o", "out.gif" if command == "animate" else "out.png", *given]
    arguments += f"{DRAW.format(model=things.model())} {'' if command == 'generate' else SETUP}".split()
    arguments += ["--frames", "2"] if command == "animate" else []
    with described(f"{before!r}, {word}, {after!r}"):
        said = run_command(arguments, folder, text).stdout
        head, whole = _count_tokens(f"{before} {word}"), _count_tokens(text)
        hold(whole <= 75 or "is longer than the model reads" in said, f"{whole} tokens, and no note: {said}")
        hold(whole > 75 or "is longer than the model reads" not in said, f"{whole} tokens, and a note: {said}")
        hold(negative or head <= 75, f"{word} ends at token {head}, and it was drawn: {said}")
    return f"{command}, {word} of {text!r}"


def _count_tokens(text: str) -> int:
    """Of a text of which a sound is one."""
    pieces = text.replace("(<audio>:1.3)", "<audio>").split("<audio>")
    return sum(len(_tokenizer()(each, add_special_tokens=False).input_ids) for each in pieces) + len(pieces) - 1


@cache
def _tokenizer() -> Any:
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(things.model() / "tokenizer")


def overflow(rng: Rng, folder: Path) -> str:
    """A model of which one part gives NaN or infinity: refused by the name of the part, never a black picture."""
    part = pick(rng, ("vae", "unet", "text_encoder", "audio_embedder"))
    things.copy(things.model, folder / "set")
    (file,) = (folder / "set" / part).glob("*.safetensors")
    weights = load_file(file)
    names = [name for name in sorted(weights) if weights[name].ndim > 1 and not name.startswith("encoder.")]
    name, factor = pick(rng, names), pick(rng, (float("nan"), float("inf"), 1e6, 1e30))
    weights[name] = weights[name] * factor
    save_file(weights, file, {"format": "pt"})
    things.write_clip(folder / "clip.wav")
    command = pick(rng, (f"place clip.wav -o out.png {SETUP}", "generate clip.wav -o out.png"))
    dtype = pick(rng, ("float32", "float16", "bfloat16"))
    what = f"{factor:g} in {part}/{name}, {dtype}"
    run_command([*command.split(), *DRAW.format(model="set").split(), "--dtype", dtype], folder, what)
    with described(what), Image.open(folder / "out.png") as picture:
        hold(np.asarray(picture).std() > 0, "a picture of one colour")
        hold(bool(torch.isfinite(weights[name]).all()) or part == "audio_embedder", "it was drawn")
    return what
