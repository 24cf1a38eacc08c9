"""The entry point of the `audiotoken` command, also as `python -m audiotoken`.

It works from any folder, whatever packages are there, because it finds the packages of this distribution first.
Ctrl-C ends it with one line and exit code 130, even during the imports.
"""

import os
import sys
import sysconfig
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from audiotoken.errors import STOPPED

HOME = Path(__file__).resolve().parent.parent  # the folder that holds this distribution's packages
# Threads of torch that wait sleep, and do not spin: where other programs take the cores, spinning took 23 times the CPU
# and the time (two frames of mini, two cores, load 10). The variable is read once, when torch is loaded.
WAIT = ("OMP_WAIT_POLICY", "PASSIVE")


def main() -> None:
    try:
        os.environ.setdefault(*WAIT)
        find_own_packages_first()
        import_module("audiotoken.cli.app").main()
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        raise SystemExit(130) from None


def find_own_packages_first() -> None:
    """Move the folder of this distribution to the front, so that no other spatial/ or guidance/ hides its packages.

    Only Python's standard library stays before it: an installed package may lie beside modules named like its own.
    """
    library, unwanted = sysconfig.get_path("stdlib"), {"", str(HOME)}
    with suppress(OSError):  # the current folder, which `python -m` puts first, may have been deleted
        unwanted.add(os.getcwd())
    standard = [each for each in sys.path if each.startswith(library) and not each.endswith("-packages")]
    others = [each for each in sys.path if each not in {*standard, *unwanted}]
    sys.path[:] = [*standard, str(HOME), *others]
