"""Files of ours that were damaged, or written by another program: used, or refused in one sentence."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz import things
from tests.fuzz.inputs import Rng, pick, spoilt
from tests.fuzz.watched import run_command

VALUES: tuple[Any, ...] = (
    None,
    "x",
    "",
    0,
    -1,
    5,
    1.5,
    True,
    [],
    {},
    [None],
    ["x", 3],
    [[1]],
    {"a": None},
    float("nan"),
)
VALUES += (10**40, -(2**63), 2**31, 1e308, "\ud800", "a\nb", "x" * 5000, "../../etc/passwd", {"": 1}, [[[]]] * 3)
DEPTH = 100_000
TEXTS = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b'"x"',
    b"{",
    b"\xff\xfe{\0}\0",
    b"\xef\xbb\xbf{}",
    b"\0" * 99,
    b"<html>",
    b"1" * 5000,
)
TEXTS += (b"[" * DEPTH + b"]" * DEPTH, b'{"a":' * DEPTH + b"1" + b"}" * DEPTH)
DRAW = "generate clip.wav -o out.png --steps 1 --model set"


@dataclass(frozen=True)
class Kind:
    """A folder of ours, its files that may be damaged, and a command that reads them."""

    made: Callable[[], Path]
    files: str  # a glob
    words: str
    own: str = ""  # a glob of what the command may write over
    resumes: bool = False


KINDS = (
    Kind(
        things.prepared, "*.json", "train --data set -o run --model {model} --steps 1 --batch 2 log=null", resumes=True
    ),
    Kind(
        things.prepared,
        "*.safetensors",
        "train --data set -o run --model {model} --steps 1 --batch 2 log=null",
        "",
        True,
    ),
    Kind(things.prepared, "*", "prepare --source pairs -o set --model {model} --seconds 0.5 shard_size=2", "*", True),
    Kind(
        things.trained, "*.json", "train --data data -o set --model {model} --steps 3 --batch 2 log=null", "**/*", True
    ),
    Kind(things.trained, "*.pt", "train --data data -o set --model {model} --steps 3 --batch 2 log=null", "**/*", True),
    Kind(
        things.trained,
        "losses.csv",
        "train --data data -o set --model {model} --steps 3 --batch 2 log=null",
        "**/*",
        True,
    ),
    Kind(things.trained, "embedder/*", "assemble --base {model} --embedder set -o made"),
    Kind(things.model, "model_index.json", DRAW),
    Kind(things.model, "*/*.json", DRAW),
    Kind(things.model, "*/*.json", "place clip.wav -o out.png --steps 1 --model set --setup panned"),
    Kind(things.model, "*/*.safetensors", DRAW),
    Kind(things.model, "*/*.json", "assemble --base set -o made"),
    Kind(things.base, "*/*.json", "assemble --base set --encoder mini -o made"),
    Kind(things.base, "model_index.json", "assemble --base set --encoder mini -o made"),
    Kind(things.study, "objects.json", "rate set --table", "ratings.*"),
    Kind(things.study, "ratings.sqlite", "rate set --table", "ratings.*"),
    Kind(things.drawn, "made.jsonl", "generate pairs -o set --steps 1 --model {model}", "**/*", True),
)


def documents(rng: Rng, folder: Path) -> str:
    """One damaged file of a folder of ours, and the command that reads it."""
    kind = pick(rng, KINDS)
    things.write_clip(folder / "clip.wav")
    things.copy(kind.made, folder / "set")
    if "--data data" in kind.words:
        os.symlink(things.prepared(), folder / "data")
    if "pairs" in kind.words:
        os.symlink(things.pairs(), folder / "pairs")
    victim = pick(rng, sorted(each for each in (folder / "set").glob(kind.files) if each.is_file()))
    how = f"{victim.relative_to(folder)}: {damage(rng, victim)}"
    own = [str(each.relative_to(folder)) for each in (folder / "set").glob(kind.own)] if kind.own else []
    arguments = [word.format(model=things.model()) for word in kind.words.split()]
    run_command(arguments, folder, how, own=own, resumes=kind.resumes)
    return how


def damage(rng: Rng, path: Path) -> str:
    """Spoil a file in one of the ways of its kind -> what was done."""
    content = path.read_bytes()
    if path.suffix in (".json", ".jsonl") and rng.random() < 0.75:
        content, how = _change(rng, content)
    elif path.suffix == ".sqlite" and rng.random() < 0.7:
        return _change_rows(rng, path)
    elif rng.random() < 0.2:
        if rng.random() < 0.5:
            path.unlink()
            return "gone"
        path.unlink()
        path.mkdir()
        return "a folder"
    elif rng.random() < 0.4:
        content = pick(rng, TEXTS)
        how = f"{content[:20]!r}"
    else:
        content, how = spoilt(rng, content)
    path.write_bytes(content)
    return how


def _change(rng: Rng, content: bytes) -> tuple[bytes, str]:
    """One value anywhere in the JSON, or in one of its lines, is another."""
    lines = (
        [json.loads(content)] if b"\n{" not in content.strip() else [json.loads(each) for each in content.splitlines()]
    )
    at, path = pick(rng, lines), ""
    while isinstance(at, dict | list) and len(at):
        key = pick(rng, sorted(at)) if isinstance(at, dict) else int(rng.integers(len(at)))
        path += f"/{key}"
        if isinstance(at[key], dict | list) and len(at[key]) and rng.random() < 0.7:
            at = at[key]
            continue
        if rng.random() < 0.15:
            del at[key]
            path += " gone"
        elif isinstance(at, dict) and rng.random() < 0.1:
            at[pick(rng, ("more", "", "\ud800", "__class__"))] = pick(rng, VALUES)
            path += " and more"
        else:
            at[key] = pick(rng, VALUES)
            path += f" = {at[key]!r:.60}"
        break
    return "\n".join(json.dumps(each) for each in lines).encode(), path


def _change_rows(rng: Rng, path: Path) -> str:
    """Answers that the page would not have stored."""
    change = pick(
        rng,
        (
            "UPDATE answers SET answer = 'perhaps'",
            "UPDATE answers SET answer = x'ff00'",
            "UPDATE answers SET answer = 7",
            "UPDATE answers SET question = 'nonsense'",
            "UPDATE answers SET system = '' WHERE system = 'one'",
            "UPDATE answers SET system = 'a | b' || char(10) || 'c' WHERE system = 'one'",
            "UPDATE answers SET clip = x'80' WHERE system = 'one' AND clip = 'dog'",
            "UPDATE answers SET rater = ''",
            "DROP TABLE answers",
            "ALTER TABLE answers ADD COLUMN more TEXT",
            "ALTER TABLE answers RENAME TO others; CREATE VIEW answers AS SELECT * FROM others",
            "DELETE FROM answers",
        ),
    )
    with closing(sqlite3.connect(path)) as file:
        file.executescript(change)
    for side in ("-wal", "-shm"):
        shutil.rmtree(f"{path}{side}", ignore_errors=True)
    return change
