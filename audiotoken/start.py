"""The entry point of the `audiotoken` command, also as `python -m audiotoken`.

It works from any folder, whatever packages lie there: this distribution's own packages are found first. Ctrl-C is one
line and exit code 130 even while the rest is being imported.
"""

import os
import sys
import sysconfig
from contextlib import suppress
from importlib import import_module
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent  # the folder that holds this distribution's packages
STOPPED = "Stopped; nothing is left half-written."


def main() -> None:
    try:
        find_own_packages_first()
        import_module("audiotoken.cli.app").main()
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        raise SystemExit(130) from None


def find_own_packages_first() -> None:
    """Let a folder called spatial/ or guidance/ elsewhere on the path not stand for ours.

    Only Python's own library stays before them, as beside an installed package much may be named like a part of it.
    """
    library, unwanted = sysconfig.get_path("stdlib"), {"", str(HOME)}
    with suppress(OSError):  # the folder where it is called, which `python -m` puts first, may be gone
        unwanted.add(os.getcwd())
    own = [each for each in sys.path if each.startswith(library) and not each.endswith("-packages")]
    others = [each for each in sys.path if each not in {*own, *unwanted}]
    sys.path[:] = [*own, str(HOME), *others]
