"""The fuzz by kinds of trouble that people had: new members of each kind, over all commands.

`docs/robustness.md` lists the kinds. A case is as in `tests.fuzz.cases`; those here end in a command, or in a call as a
program makes it, and know what the right answer is where there is one.
"""

import json
import os
import unicodedata
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.fuzz import things
from tests.fuzz.adapters import lora
from tests.fuzz.cases import MORE_WORDS, WORDS, Case, described, hold
from tests.fuzz.containers import cut, hole, joined, lying, order
from tests.fuzz.documents import documents
from tests.fuzz.inputs import Rng, odd_number, pick
from tests.fuzz.kept import kept
from tests.fuzz.limits import disk, overflow, prompts
from tests.fuzz.values import keys, options
from tests.fuzz.watched import run_command

NAMES = (b"a\xff", b"\xe4\xf6", "Bär".encode(), unicodedata.normalize("NFD", "Bär").encode(), b"-o", b"--help", b"-")
NAMES += (b" ", b"a b", b" a", b"a ", b"a\nb", b"\x1b[2Ja", b"a\tb", b"'", b'"', b"$HOME", b"%s", b"{0}", b"a;b", b"*")
NAMES += (
    b"?",
    b"[a]",
    b"a" * 240,
    "ä".encode() * 120,
    "🐕".encode() * 60,
    b".hidden",
    b"..a",
    b"a.b.c",
    b"CON",
    b"mini",
)
NAMES += (
    b"a.png",
    b"a.wav",
    b"\\",
    b"a:b",
    b"a=b",
    b"#",
    b"~",
    b"~root",
    "\u202eabc".encode(),
    "\u00a0".encode(),
    b"1",
)
LINES = (  # what becomes of a clip of that name; {out} is of the same name
    "listen --no-labels --setup panned --json {out}.json -- {clip}",
    "listen --no-labels --setup panned --json - -- {clip}",
    "listen --no-labels --setup panned --plot {out}.png --stems {out} --report {out}.html -- {clip}",
    "layout --words dog,bell --setup panned -o {out}.json --report {out}.html -- {clip}",
    "generate --model {model} --steps 1 -o {out}.png --report {out}.html -- {clip}",
    "place --model {model} --steps 1 --setup panned -o {out}.png --boxes --report {out}.html -- {clip}",
    "animate --model {model} --steps 1 --frames 2 --setup panned -o {out}.gif -- {clip}",
    "generate --model {model} --steps 1 -o {out} -- {folder}",
    "listen --no-labels --setup panned -o {out} --report {out}.html -- {folder}",
    "layout --words dog,bell --setup panned -o {out} -- {folder}",
    "prepare --source {folder} -o {out} --model {model} --seconds 0.5",
    "check --words dog,bell --setup panned -o {out}.json -- {picture} {clip}",
)


def names(rng: Rng, folder: Path) -> str:
    """Files and folders of unusual names: in another encoding, very long, with a dash, spaces, line breaks."""
    name, line = pick(rng, NAMES), pick(rng, LINES)
    there = os.path.join(os.fsencode(folder), b"in", name)
    os.makedirs(os.path.dirname(there))
    clip = things.write_clip(Path(os.fsdecode(there + b".wav")))
    picture = things.write_picture(Path(os.fsdecode(there + b".png")))
    out = os.fsdecode(os.path.join(os.fsencode(folder), b"out", name)) if rng.random() < 0.7 else "result"
    words = {"clip": clip, "out": out, "model": things.model(), "folder": clip.parent, "picture": picture}
    arguments = [word.format(**words) for word in line.split()]
    result = run_command(arguments, folder, f"{name!r}", resumes="{folder}" in line)
    if "--json -" in line:
        hold(json.loads(result.stdout)["file"] == str(clip), "another name in the JSON")
    return f"{name!r}, {line}"


def clips(rng: Rng, folder: Path) -> str:
    """Clips of which little or nothing can be said: very short, inverted, dead, silent, not numbers, Ambisonic."""
    kind = pick(
        rng, ("short", "shortest", "inverted", "mirrored", "dead", "silent", "nan", "six", "ambisonic", "click")
    )
    rate = pick(rng, (8000, 16_000, 44_100, 48_000))
    sound = _spoil(rng, things.two_sources(1.0, rate, int(rng.integers(99))), kind, rate)
    clip = things.write_clip(folder / "clip.wav", sound, rate)
    line = pick(
        rng,
        (
            "listen clip.wav --no-labels --json out.json",
            "listen clip.wav --no-labels --json out.json",
            "layout clip.wav --words dog,bell",
            "place clip.wav --steps 1 --model {model} -o out.png",
            "generate clip.wav --steps 1 --model {model} -o out.png",
        ),
    )
    setup = pick(rng, ("auto", "auto", "panned", "ortf", "xy", "ms", "binaural")) if "generate" not in line else None
    arguments = [*line.format(model=things.model()).split(), *(["--setup", setup] if setup else [])]
    run_command(arguments, folder, f"{kind} at {rate}")
    if "out.json" in line:
        found: dict[str, Any] = json.loads((folder / "out.json").read_text())
        with described(f"{kind} at {rate}, {setup}: {found}"):
            hold(kind not in ("silent", "nan"), "silence was heard")
            if kind in ("short", "shortest"):
                hold(len(found["sources"]) <= 1, f"{len(found['sources'])} sources in {sound.shape[1]} frames")
    return f"{kind} at {rate}, {clip.name}, {setup}"


def _spoil(rng: Rng, sound: NDArray, kind: str, rate: int) -> NDArray:
    sound = np.array(sound)
    if kind in ("short", "shortest"):
        frames = int(rng.integers(1, 9)) if kind == "shortest" else round(rate * rng.uniform(0.002, 0.03))
        start = rate // 3
        return sound[:, start : start + frames]
    if kind == "inverted":
        sound[int(rng.integers(2))] *= -1
    elif kind == "mirrored":
        sound[1] = -sound[0]
    elif kind == "dead":
        sound[int(rng.integers(2))] = 0
    elif kind == "silent":
        sound *= 0 if rng.random() < 0.5 else 1e-6
    elif kind == "nan":
        sound[int(rng.integers(2)), int(rng.integers(sound.shape[1]))] = pick(rng, (np.nan, np.inf))
    elif kind == "six":
        sound = np.concatenate([sound, 0.1 * sound, 0.1 * sound])
    elif kind == "ambisonic":
        left = np.radians(rng.uniform(-80, 80))
        sound = np.stack([np.ones(1), np.sin(left) * np.ones(1), np.zeros(1), np.cos(left) * np.ones(1)]) * sound[0]
    elif kind == "click":
        sound *= 0
        sound[:, int(rng.integers(sound.shape[1]))] = 0.9
    return sound.astype(np.float32)


def calls(rng: Rng, folder: Path) -> str:
    """The pipeline as programs call it: sounds in any form, numbers out of range, words that do not exist."""
    pipe = _pipe()
    sound, what = _sound(rng, folder)
    given: dict[str, Any] = {"num_inference_steps": 1}
    for _ in range(int(rng.integers(0, 3))):
        key = pick(rng, tuple(ARGUMENTS))
        given[key] = pick(rng, ARGUMENTS[key])
    with described(f"{what}; {given}"):
        result = pipe(sound, **given)
        images = result.images
        hold(len(images) and all(image.size[0] >= 8 for image in images), "no picture")
    return f"{what}; {given}"


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "seed": (0, -1, 2**31, 2**32, 2**63, 2**64, 2**70, -(2**70), 1.5, "3", None, True, np.int64(3), [1]),
    "height": (0, -8, 8, 31, 32, 33, 2**20, 2**31, 2**70, 1.5, "64", True, np.int64(32)),
    "width": (0, -8, 8, 31, 32, 33, 2**20, 2**70, "64", [32]),
    "num_images_per_prompt": (0, -1, 1, 2, 2**70, 1.5, "2", None, True, np.int64(2), np.float32(1), [1]),
    "num_inference_steps": (0, -1, 1, 2, 1001, 2**70, 1.5, "2", None, True),
    "guidance_scale": (0, 0.0, 1, 3.5, -1, 1e9, float("nan"), float("inf"), "7", None, True, [1]),
    "prompt": (*WORDS, *MORE_WORDS, "", None, [], [""], ["a <audio>", "b <audio>"], 5, b"a", "word " * 100 + "<audio>"),
    "negative_prompt": (*WORDS[:3], "", None, [], ["a", "b", "c"], 5),
    "token": ("learned", "label", "", "other", None, 5, ["label"]),
    "rate": (None, 0, -1, 16_000, 8000.0, "16000", 2**40, True),
    "output_type": ("pil", None),
    "generator": (None, 5, [], "x"),
}


def _pipe() -> Any:
    from audiotoken.model import load_pipeline

    if "pipe" not in _LOADED:
        _LOADED["pipe"] = load_pipeline(str(things.model()), "cpu")
    return _LOADED["pipe"]


_LOADED: dict[str, Any] = {}


def _sound(rng: Rng, folder: Path) -> tuple[Any, str]:
    """A sound in one of the forms that libraries pass around, or what is none."""
    recording, clip = things.two_sources(), things.write_clip(folder / "clip.wav")
    whole = np.round(recording.T * 32_767).astype(np.int16)
    forms: dict[str, Any] = {
        "path": lambda: clip,
        "text": lambda: str(clip),
        "pair of Gradio": lambda: (things.RATE, whole),
        "pair of soundfile": lambda: (recording.T, things.RATE),
        "dictionary of datasets": lambda: {"array": recording[0], "sampling_rate": things.RATE, "path": None},
        "dictionary of bytes": lambda: {"bytes": clip.read_bytes(), "path": "a.wav"},
        "dictionary of nothing": lambda: {"bytes": None, "path": None},
        "dictionary without a rate": lambda: {"array": recording[0]},
        "bytes": clip.read_bytes,
        "file": lambda: BytesIO(clip.read_bytes()),
        "text file": lambda: (folder / "clip.wav").open(encoding="latin-1"),
        "list of paths": lambda: [clip, clip],
        "list of pairs": lambda: [(things.RATE, whole), (things.RATE, whole)],
        "list of nothing": list,
        "list of None": lambda: [None],
        "words": lambda: "a photo of a frog",
        "number": lambda: odd_number(rng),
        "array": lambda: recording,
        "list of numbers": lambda: recording[0, :99].tolist(),
        "None": lambda: None,
        "folder": lambda: folder,
        "set": lambda: {1, 2},
        "picture": lambda: things.write_picture(folder / "a.png"),
    }
    name = pick(rng, tuple(forms))
    return forms[name](), name


def schedulers(rng: Rng, folder: Path) -> str:
    """The folder of a model with another scheduler of diffusers: it draws, or is refused by name."""
    name = pick(rng, _list_schedulers())
    things.copy(things.model, folder / "set")
    index = folder / "set" / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"scheduler": ["diffusers", name]}))
    config = folder / "set" / "scheduler" / "scheduler_config.json"
    values = json.loads(config.read_text()) | {"_class_name": name}
    if rng.random() < 0.3:
        values = {"_class_name": name, "_diffusers_version": values["_diffusers_version"]}
    config.write_text(json.dumps(values))
    things.write_clip(folder / "clip.wav")
    command = pick(rng, ("generate clip.wav", "place clip.wav --setup panned"))
    run_command(
        [*command.split(), "--model", "set", "-o", "out.png", "--steps", pick(rng, ("1", "2", "4"))], folder, name
    )
    return name


def _list_schedulers() -> list[str]:
    import diffusers

    found = [name for name in dir(diffusers.schedulers) if name.endswith("Scheduler") and not name.startswith("Flax")]
    return sorted({*found, "NoSuchScheduler"})


CASES: dict[str, tuple[Case, int]] = {  # of a thousand inputs so many
    "kept": (kept, 150),
    "options": (options, 250),
    "keys": (keys, 120),
    "documents": (documents, 150),
    "names": (names, 60),
    "clips": (clips, 60),
    "calls": (calls, 80),
    "schedulers": (schedulers, 20),
    "joined": (joined, 30),
    "cut": (cut, 30),
    "lying": (lying, 20),
    "order": (order, 20),
    "hole": (hole, 10),
    "lora": (lora, 40),
    "disk": (disk, 60),
    "prompts": (prompts, 40),
    "overflow": (overflow, 30),
}
