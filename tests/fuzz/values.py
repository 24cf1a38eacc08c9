"""Values of every kind for every option of every command, and for every KEY=VALUE of every entry with Hydra.

The options are those that the commands themselves list, so that a new one is tried from its first day.
"""

import contextlib
import io
import shutil
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.fuzz import things
from tests.fuzz.cases import MORE_WORDS, WORDS
from tests.fuzz.inputs import Rng, pick
from tests.fuzz.watched import run_command, run_watched

LINES = {  # a line of each command that works and takes little time
    "generate": "generate clip.wav -o out.png --model {model} --steps 1",
    "listen": "listen clip.wav --no-labels --setup panned",
    "layout": "layout clip.wav --words dog,bell --setup panned",
    "place": "place clip.wav -o out.png --model {model} --steps 1 --setup panned",
    "animate": "animate clip.wav -o out.gif --model {model} --steps 1 --frames 2 --setup panned",
    "check": "check real.png clip.wav --words dog,bell --setup panned",
    "assemble": "assemble --base {base} --encoder mini -o made",
    "prepare": "prepare --source {pairs} -o prepared --model {model} --seconds 0.5",
    "train": "train --data {prepared} -o run --model {model} --recipe mini --steps 1 --batch 2 log=null",
    "rate": "rate study --table",
    "evaluate": "evaluate --clips {pairs} --pictures {pairs} -o evaluated resamples=9",
    "demo": "demo --model {model} --no-open",
}
OFTEN = ("generate", "listen", "layout", "place", "animate", "check", "prepare", "train", "train")  # the others rarely
WHOLE = ("0", "-1", "1", "2", "3", "7", "64", "1.5", "1e3", "abc", "", " 5", "５", "0x10", "1_000", "nan", "-0", "+2")
WHOLE += tuple(str(sign * 2**power + more) for sign in (1, -1) for power in (31, 32, 63, 64, 70) for more in (-1, 0, 1))
REAL = ("0", "-1", "0.5", "1", "90", "nan", "inf", "-inf", "1e308", "1e999", "1e-320", "-0.0", "abc", "", "1,5", "2**3")
PATHS = ("", ".", "..", "/", "./", "/dev/null", "/dev/full", "/dev/zero", "/proc/self/mem", "nowhere/new", "clip.wav")
PATHS += ("clip.wav/new", "~nosuch/x", "x" * 255, "x" * 300, "x/" * 600, "a\nb", "\x1b[2J", " ", "-", "--", "-x", "ü")
PATHS += ("\udcff", "mini", "a:b", "%s{}", "CON", "a b", "*", "$HOME", "real.png", "pictures", "loop", "dangling")
SUFFIXES = ("", ".png", ".PNG", ".jpg", ".webp", ".gif", ".mp4", ".json", ".html", ".svg", ".txt", ".wav", ".", ".exe")
TEXTS = (
    *WORDS,
    *MORE_WORDS[:-1],
    "dog,bell",
    "dog,,bell",
    ",",
    " ",
    "\n",
    "\udcff",
    "a" * 5000,
    "dog," * 50,
    "1024x768",
)
TEXTS += ("0x0", "99999999x1", "12x", "mini", "none", "auto", "beats:", "ast:nowhere", "clap:~nosuch", "pe:", "4,8,12")
TEXTS += ("-1", "9" * 400, "4,,8", "cpu", "cuda:99", "meta", "mps", "cpu:1", "tpu", "float16", "127.0.0.1", "::1", "/a")


def options(rng: Rng, folder: Path) -> str:
    """A command that works, with one to three more options of any value."""
    name = pick(rng, OFTEN) if rng.random() < 0.9 else pick(rng, tuple(LINES))
    _furnish(folder)
    arguments = LINES[name].format(model=things.model(), base=things.base(), pairs="pairs", prepared="data").split()
    for _ in range(pick(rng, (1, 1, 2, 3))):
        arguments += _option(rng, pick(rng, list_options(name)))
    if name in ("prepare", "evaluate"):
        things.copy(things.pairs, folder / "pairs")
    if name == "train":
        things.copy(things.prepared, folder / "data")
    if name == "rate":
        things.copy(things.study, folder / "study")
    own = [f"study/ratings.{kind}" for kind in ("md", "csv", "tex", "sqlite", "sqlite-wal", "sqlite-shm")]
    with _no_page():
        run_command(arguments, folder, own=own, resumes=name in ("prepare", "train", "evaluate"))
    return str(arguments)


def _furnish(folder: Path) -> None:
    things.write_clip(folder / "clip.wav")
    things.write_picture(folder / "real.png")
    things.write_picture(folder / "pictures" / "clip.png")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nowhere")


@cache
def list_options(name: str) -> list[Any]:
    """The options of a command, as click has them."""
    from typer.main import get_command

    from audiotoken.cli.app import app

    params: Any = get_command(app).commands[name].params  # type: ignore[attr-defined]
    left_out = ("help", "verbose")  # the second adds a traceback
    return [each for each in params if each.param_type_name == "option" and each.name not in left_out]


def _option(rng: Rng, option: Any) -> list[str]:
    """The name of an option and a value."""
    flag = pick(rng, (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return [flag]
    form = getattr(option, "type", None) or option.type_descriptor  # click's name, and that of newer typers
    kind = f"{type(form).__name__} {getattr(form, 'ranged_type_name', '')}".lower()
    if "int" in kind:
        value = pick(rng, WHOLE)
    elif "float" in kind:
        value = pick(rng, REAL)
    elif getattr(form, "choices", None) and rng.random() < 0.7:
        value = pick(rng, [str(getattr(each, "value", each)) for each in form.choices])
    elif "path" in kind:
        value = pick(rng, PATHS) + (pick(rng, SUFFIXES) if rng.random() < 0.7 else "")
    else:
        value = pick(rng, (*TEXTS, *PATHS))
    return [flag, value] if rng.random() < 0.8 or len(flag) == 2 else [f"{flag}={value}"]


@contextlib.contextmanager
def _no_page() -> Any:
    """The page of `demo` is built and not served."""
    from audiotoken.page import launch

    with mock.patch.object(launch, "run_page", lambda *args, **options: None):
        yield


# KEY=VALUE

ODD = ("abc", "", "null", "[]", "[1]", "[null]", "[[1]]", "[a,b]", "{}", "{a:1}", "true", "-1", "0", "1", "2", "1.5")
ODD += (
    "1e3",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "1_000",
    '"1"',
    "'1'",
    "???",
    "${oc.env:HOME}",
    "${nosuch}",
    "${",
    "'",
    '"',
)
ODD += ("[", "{", "=", "a=b", "ü", "'a b'", "'..'", "'/'", "x" * 300, "\\", "0x10", "a,b", "'a,b'", "#", "'a\nb'", "~")
ODD += tuple(str(sign * 2**power) for sign in (1, -1) for power in (31, 63, 64, 70))
FORMS = ("{key}={value}",) * 12 + (
    "+{key}={value}",
    "++{key}={value}",
    "~{key}",
    "{key}",
    "={value}",
    "{key}.more={value}",
)
FORMS += ("{key}=", "{key}@x={value}", "{value}", "{key}[0]={value}", "-{key}={value}", "nosuch.{key}={value}")
DOORS = {  # a module with Hydra's command line -> keys with which it works in little time, and its function
    "generate": ("clip=clip.wav output=out.png model={model} steps=1", "audiotoken.tasks.generate.generate"),
    "folder": ("clips=pairs output=drawn model={model} steps=1", "audiotoken.tasks.folder.draw_folder"),
    "assemble": ("base={base} encoder=mini output=made", "audiotoken.assembly.assemble.assemble"),
}
SLOW = ("log", "sample_every", "model", "clip", "wav2clip", "features", "detector", "unclip")  # nets, trackers


def keys(rng: Rng, folder: Path) -> str:
    """`prepare`, `train` or `evaluate` with a key of any value, or a door of `experiments`."""
    name = pick(rng, ("prepare", "train", "train", "train", "evaluate", *DOORS))
    _furnish(folder)
    things.copy(things.pairs, folder / "pairs")
    words = {"model": things.model(), "base": things.base(), "pairs": "pairs", "prepared": "data"}
    key = pick(rng, list_keys(name))
    extra = pick(rng, FORMS).format(key=key, value=pick(rng, ODD))
    if name in DOORS:
        arguments = [*DOORS[name][0].format(**words).split(), extra]
        run_watched(lambda: _open_door(name, arguments), folder, str(arguments), resumes=True)
        return f"{name} {arguments}"
    if name == "train":
        things.copy(things.prepared, folder / "data")
    arguments = [*LINES[name].format(**words).split(), "--", extra]
    run_command(arguments, folder, resumes=True)
    return str(arguments)


@cache
def list_keys(name: str) -> list[str]:
    """Every key of a configuration, with those below it."""
    if name in DOORS:
        return list(_parameters(DOORS[name][1]))
    from audiotoken.cli.composing import FUNCTIONS, NESTED, compose_config

    found = [f"{key}.{each}" for key, path in NESTED.get(name, {}).items() for each in _parameters(path)]
    composed = compose_config(name, [], ["recipe=mini"] if name == "train" else [], {})
    found += [key for key in (*composed, *_parameters(FUNCTIONS[name])) if key not in SLOW]
    return sorted({*found, *(["source", "recipe", "source.folder"] if name != "evaluate" else [])})


def _parameters(path: str) -> list[str]:
    from hydra.utils import get_object

    from audiotoken.cli.schemas import types_of

    return list(types_of(get_object(path)))


def _open_door(name: str, arguments: list[str]) -> Any:
    """Call the main function of a door as the command line does -> what typer's runner gives."""
    main: Callable[[], None] = import_module(f"experiments.{name}").main
    out, err = io.StringIO(), io.StringIO()
    error: BaseException | None = None
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        mock.patch.object(sys, "argv", [f"experiments.{name}", *arguments]),
    ):
        try:
            main()
        except SystemExit as ended:
            error = ended
        except Exception as raised:  # what the watch reports
            error = raised
    shutil.rmtree("outputs", ignore_errors=True)
    code = error.code if isinstance(error, SystemExit) else int(error is not None)
    return SimpleNamespace(exit_code=code or 0, exception=error, stdout=out.getvalue(), stderr=err.getvalue())
