"""Runs a command where everything around it is watched: what every command owes its user, whatever it is given.

It ends with 0, 1 or 2; changes nothing that was there before; leaves nothing half-written; and says in one sentence
what it refuses.
"""

import hashlib
import os
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from audiotoken.errors import OptionError, printable
from tests.fuzz.cases import described, hold

LONGEST = 2500  # letters of a refusal: it may quote a path of a thousand
NOTES = re.compile(  # lines before the refusal
    r"note|warning|loading|skipped|heard|\[|\d|step |found |prepar|train|given pictures|random clip"
)


def snapshot(folder: Path) -> dict[str, Any]:
    """What each file and link below a folder holds, by its name."""
    found: dict[str, Any] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if os.path.islink(path):
                found[path] = os.readlink(path)
            elif os.path.isfile(path):
                found[path] = _digest(path)
    return found


def _digest(path: str) -> Any:
    state = os.stat(path)
    if state.st_size > 1 << 24:
        return state.st_size, state.st_mtime_ns
    with open(path, "rb") as file:
        return hashlib.blake2b(file.read(), digest_size=8).hexdigest()


def run_command(
    arguments: Sequence[str], folder: Path, what: str = "", *, own: Collection[str] = (), resumes: bool = False
) -> Any:
    """Run `audiotoken ARGUMENTS` in a folder -> typer's result; a refusal is raised as an OptionError, to be counted.

    own: files of the folder, by their paths in it, that the command may replace. resumes: what it has done before it
    was refused may stay.
    """
    from typer.testing import CliRunner

    from audiotoken.cli.app import app

    def act() -> Any:
        return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "HOME": str(folder)})

    return run_watched(act, folder, f"{what}; {list(arguments)}", own=own, resumes=resumes)


def run_watched(
    act: Callable[[], Any], folder: Path, what: str, *, own: Collection[str] = (), resumes: bool = False
) -> Any:
    """`run_command` for any function that returns a result as typer's runner does."""
    with described(what), chdir(folder):
        before = snapshot(folder)
        result = act()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        after = snapshot(folder)
        hold(result.exit_code in (0, 1, 2), f"exit code {result.exit_code}")
        _check_kept(before, after, {str(folder / each) for each in own})
        new = sorted(after.keys() - before.keys())
        hold(not any(os.path.basename(path).startswith(".") for path in new), f"left behind: {new}")
        if result.exit_code == 2:
            hold(resumes or not new, f"refused, but it wrote {new}")
            raise OptionError(read_refusal(result))
        return result


def _check_kept(before: dict[str, Any], after: dict[str, Any], own: Collection[str]) -> None:
    for path, content in before.items():
        if path not in own:
            hold(path in after, f"it removed {path}")
            hold(after[path] == content, f"it changed {path}")


def read_refusal(result: Any) -> str:
    """The one sentence with which a command was refused, or typer's words for a wrong option."""
    said = result.stderr.strip()
    hold("Traceback" not in said, said)
    if "usage:" in said.lower():
        return " ".join(said.split()).rstrip(".") + "."
    *notes, last = said.split("\n")
    hold(all(NOTES.match(line) for line in notes), f"more than one line: {said}")
    hold(last.endswith(".") and len(last) < LONGEST, f"no sentence: {last}")
    hold(printable(last) == last, f"control characters: {last!r}")
    return last
