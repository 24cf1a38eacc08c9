"""What the documents tell people to type: found, and held against the command line that it is for.

To bind a command is to let its own parser read it, argparse, Typer or Hydra, and to stop there: an option that is
unknown, a key that was renamed, a module that was moved is an error, and nothing is run.
"""

import argparse
import ast
import re
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import hydra
import typer

import install
from audiotoken.cli import models
from audiotoken.cli.app import app as audiotoken
from experiments.benchmarks.command import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", "audiotoken/mini/README.md")
CODE = ("audiotoken", "spatial", "guidance", "experiments")
# how blocks begin that show what is printed, or folders
NO_COMMANDS = ("synthesising 8 clips", "audiotoken/     ", "study/clips/NAME.wav ")
STARTS = r"(?:python\s-m\s|audiotoken\s|make\s|accelerate\slaunch\s|pip\sinstall\s|\.venv/bin/|jupyter\s)"
LINE = re.compile(rf"^[ #]*(?:\$\(BIN\)/|@\$\(BIN\)/)?({STARTS}.+)$")
INLINE = re.compile(rf"(?<![`\w])(?:``|`)({STARTS}[^`]+)`")
GROUPS = {path.name for room in ("configs", "audiotoken/configs") for path in (ROOT / room).iterdir() if path.is_dir()}
ABLATE = "python -m experiments.ablate experiment=pooling"  # that stands before "... sweep=slurm -m"
# words in the place of options, behind which no parser reads
WITHOUT_PARSER = {"experiments.bench": [["arithmetic"], ["guidance", "arithmetic"], ["guidance", "launches"]]}


@dataclass(frozen=True)
class Command:
    """Something to type, and where it says so."""

    text: str
    file: str
    fenced: bool = False  # a line of a block, not a mention in a sentence

    def __str__(self) -> str:
        return f"{self.file}: {self.text}"


class UnknownCommand(Exception):
    """What no parser here is for."""


class _Bound(Exception):
    """The parser has read all of it."""


def commands() -> list[Command]:
    """All of them, each text once a file."""
    pages = [*PAGES, *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))]
    found = [each for page in pages for each in _of_page(page, (ROOT / page).read_text())]
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            found += _of_text(str(path.relative_to(ROOT)), "\n".join(docstrings(path)))
    for path in sorted([*(ROOT / "configs").rglob("*.yaml"), *(ROOT / "audiotoken" / "configs").rglob("*.yaml")]):
        comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
        found += _of_text(str(path.relative_to(ROOT)), "\n".join(comments))
    found += _of_text("Makefile", (ROOT / "Makefile").read_text().replace("\t", " "))
    return list(dict.fromkeys(found))


def docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            yield ast.get_docstring(node) or ""


def _of_page(file: str, page: str) -> Iterator[Command]:
    """Each line of the blocks without a language, whatever it is; and what stands in sentences."""
    blocks = re.compile(r"^```(\w*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
    for language, block in blocks.findall(page):
        if language in ("sh", "bash", "console", "shell") or (not language and not block.startswith(NO_COMMANDS)):
            for line in _joined(block).splitlines():
                for text in _split(line):
                    yield Command(text, file, fenced=True)
    yield from _mentioned(file, blocks.sub("", page))


def _of_text(file: str, text: str) -> Iterator[Command]:
    """Lines that are commands, and what stands in sentences."""
    for line in _joined(text).splitlines():
        if (hit := LINE.match(line)) and "`" not in hit[1]:
            for part in _split(hit[1]):
                yield Command(part, file, fenced=True)
    yield from _mentioned(file, text)


def _mentioned(file: str, text: str) -> Iterator[Command]:
    for hit in INLINE.finditer(text):
        yield Command(" ".join(hit[1].replace("\n# ", " ").split()), file)
    for more in re.findall(r"`\.\.\. (\+[^`]+)`", text):
        yield Command(f"{ABLATE if '+experiment' not in more else ABLATE.rsplit(' ', 1)[0]} {more}", file)


def _joined(text: str) -> str:
    """Lines that go on behind a backslash, as one; with the sign of a comment where it stands there."""
    return re.sub(r"\\\n[ #]*", "", text)


def _split(line: str) -> list[str]:
    return [part.strip() for part in line.split(" & ") if part.strip()]


def bind(command: str, whole: bool = True) -> None:
    """Let its parser read the command. Raises what the parser raises, or UnknownCommand.

    whole: nothing that is required is left out; a mention in a sentence may name an option alone.
    """
    words = shlex.split(_plain(command), comments=True)
    words = [word for before, word in zip(["", *words], words, strict=False) if word != "..." or before.startswith("-")]
    if not words:
        return
    if any(re.fullmatch(r"\w+(\|\w+)+", word) for word in words):  # a|b|c: each of them
        (choice,) = (word for word in words if re.fullmatch(r"\w+(\|\w+)+", word))
        for each in choice.split("|"):
            bind(shlex.join([each if word is choice else word for word in words]), whole)
        return
    words[0] = words[0].removeprefix(".venv/bin/")
    if words[0] == "audiotoken":
        return _audiotoken(words[1:], whole)
    program = {"make": _make, "python": _python, "python3": _python, "pip": _pip, "uv": _uv, "source": _source}
    program |= {"accelerate": _accelerate, "jupyter": _jupyter, "sh": _sh}
    if words[0] not in program:
        raise UnknownCommand(f"{command!r} is no command that tests/commands.py knows; teach it, or mend the document.")
    program[words[0]](words[1:])


def _plain(command: str) -> str:
    """[--may be left out] as if it were not, and what make and the shell fill in; nothing of NAME=VALUE and &."""
    bare = re.sub(r"^(?:[A-Z_]+=\S+ )+|(?<= )&$", "", command.strip())
    return re.sub(r"\[(--[^\]]*)\]", r"\1", bare).rstrip(".")


def _make(rest: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    variables = re.findall(r"^([A-Z]+) *\?=", makefile, re.MULTILINE)
    asked = [word for word in rest if "=" not in word]
    if not asked or set(asked) - set(targets) or {word.split("=")[0] for word in rest if "=" in word} - set(variables):
        raise UnknownCommand(f"The Makefile has no {' '.join(rest)}, only {', '.join([*targets, *variables])}.")


def _pip(rest: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in re.findall(r"\[([\w,]+)\]", " ".join(rest)):
        if set(name.split(",")) - set(extras):
            raise UnknownCommand(f"There is no extra [{name}], only {', '.join(extras)}.")


def _uv(rest: list[str]) -> None:
    if rest[:2] not in (["pip", "install"], ["pip", "compile"]):
        raise UnknownCommand(f"uv {shlex.join(rest)} is nothing that the project needs.")
    _pip(rest[1:])


def _source(rest: list[str]) -> None:
    if rest != [".venv/bin/activate"]:
        raise UnknownCommand(f"source {shlex.join(rest)}: the environment is .venv.")


def _jupyter(rest: list[str]) -> None:
    _exists(rest[-1])


def _sh(rest: list[str]) -> None:
    _exists(rest[0])


def _exists(path: str) -> None:
    if not (ROOT / path).exists():
        raise UnknownCommand(f"There is no {path}.")


def _accelerate(rest: list[str]) -> None:
    from accelerate.commands.launch import launch_command_parser

    try:
        given = launch_command_parser().parse_args(rest[1:])
    except SystemExit as error:
        raise UnknownCommand(f"accelerate refuses {shlex.join(rest)}.") from error
    _python(["-m", given.training_script, *given.training_script_args])


def _python(rest: list[str]) -> None:
    if rest[:2] == ["-m", "pytest"]:
        return _exists(rest[2])
    if rest[:3] == ["-m", "pip", "install"]:
        return _pip(rest)
    if rest[:2] == ["-m", "uv"]:
        return _uv(rest[2:])
    if rest == ["-m", "audiotoken"] or rest[:2] == ["-m", "venv"]:
        return None
    if rest[:2] == ["-m", "audiotoken.comfy.build"] and len(rest) == 3:  # its one argument is a folder
        return None
    if rest[0] == "install.py":
        with _stopping(rest):
            install.main(rest[1:])
        return None
    if rest[:1] != ["-m"] or not rest[1].startswith(("experiments", "tests.fuzz")):
        raise UnknownCommand(f"python {' '.join(rest)} is none of experiments/ or tests/fuzz/.")
    module = import_module(rest[1])
    if rest[2:] in WITHOUT_PARSER.get(rest[1], []):
        if rest[2] not in COMMANDS:
            raise UnknownCommand(f"{rest[1]} has no {rest[2]}, only {', '.join(COMMANDS)}.")
        return
    if isinstance(getattr(module, "app", None), typer.Typer):
        return _typer(module.app, rest[2:], True)
    main = module.main
    if rest[2:]:  # alone it is a name; what it has to be given is not said
        with _stopping(rest[1:]):
            main()
            raise UnknownCommand(f"{rest[1]} has no parser that could be stopped; run it in a test of its own.")


@contextmanager
def _stopping(argv: list[str]) -> Iterator[None]:
    """`main()` called in here ends where its parser, argparse or Hydra, has read `argv`."""
    read, path, main = argparse.ArgumentParser.parse_args, sys.argv, hydra.main

    def parse_args(self: Any, args: Any = None, namespace: Any = None) -> Any:
        read(self, args, namespace)
        raise _Bound

    try:
        argparse.ArgumentParser.parse_args, hydra.main, sys.argv = parse_args, _hydra_main, argv  # type: ignore
        yield
    except _Bound:
        pass
    except SystemExit as error:
        if error.code:
            raise UnknownCommand(f"The parser of {argv[0]} refuses {shlex.join(argv[1:])} ({error.code}).") from error
    finally:
        argparse.ArgumentParser.parse_args, hydra.main, sys.argv = read, main, path  # type: ignore


def _hydra_main(version_base: Any = None, config_path: Any = None, config_name: Any = None) -> Callable[..., Any]:
    """`hydra.main` that composes what the command line says, and stops."""

    def decorated(function: Callable[..., Any]) -> Callable[[], None]:
        def run() -> None:
            from hydra._internal.utils import get_args_parser

            words = sys.argv[1:]
            flags = [word for word in words if word in ("-m", "--multirun")]
            given = [word for word in words if word not in flags]
            if unknown := [word for word in given if word.startswith("-")]:
                get_args_parser().error(f"unrecognized arguments: {unknown}")
            compose(config_name, given, sweeping=bool(flags), module=config_path and config_path.removeprefix("pkg://"))
            raise _Bound

        return run

    return decorated


def compose(name: str, overrides: list[str], sweeping: bool, module: str | None) -> None:
    """The first job of a command line. HydraException or OmegaConfBaseException for a key that is not there."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    chosen, values = [], []
    for each in OverridesParser.create().parse_overrides(overrides):
        key, swept = each.get_key_element(), each.is_sweep_override()
        if swept and not sweeping:
            raise UnknownCommand(f"{each.input_line!r} is a sweep; say -m as well.")
        value = next(iter(each.sweep_string_iterator())) if swept else each.value()
        group = key.lstrip("+~") in GROUPS or key.startswith(("+", "~", "hydra.searchpath"))
        (chosen if group else values).append((key, value, f"{key}={value}" if swept else each.input_line))
    config = deepcopy(_composed(name, tuple(line for *_, line in chosen), module))
    for key, value, _ in values:
        OmegaConf.update(config, key, value)  # a composed configuration takes no new keys


@cache
def _composed(name: str, choices: tuple[str, ...], module: str | None) -> Any:
    with (
        hydra.initialize_config_module(module, version_base=None)
        if module
        else hydra.initialize(None, version_base=None)
    ):
        return hydra.compose(name, list(choices), return_hydra_config=True)


def _audiotoken(rest: list[str], whole: bool) -> None:
    if not rest[0].startswith("-"):
        _typer(audiotoken, rest, whole)


def _typer(app: typer.Typer, rest: list[str], whole: bool) -> None:
    """Of commands that take KEY=VALUE the configuration is composed too."""
    group: Any = typer.main.get_command(app)
    command, options = group, rest  # of a program with a single command
    if hasattr(group, "commands"):
        name, *options = rest
        if name not in group.commands:
            raise UnknownCommand(f"There is no command {name}, only {', '.join(group.commands)}.")
        command = group.commands[name]
    original, composed, checks = command.callback, models.compose_config, models.tasks.checks

    def stopped(*args: Any, **kwargs: Any) -> Any:
        composed(*args, **kwargs)
        raise _Bound

    def probe(**values: Any) -> None:
        if app is audiotoken and "values" in values:
            models.compose_config, models.tasks.checks = stopped, Mock()  # type: ignore[assignment]
            original(**values)

    command.callback = probe
    try:
        if options or whole:
            group.main(rest, standalone_mode=False)
    except _Bound:
        pass
    except SystemExit as error:
        raise UnknownCommand(f"{shlex.join(rest)} is refused ({error.code}).") from error
    except Exception as error:
        if whole or type(error).__name__ not in ("MissingParameter", "BadOptionUsage"):  # what is said of an option
            raise
    finally:
        models.compose_config, models.tasks.checks = composed, checks  # type: ignore[assignment]
