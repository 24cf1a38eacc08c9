"""The entry point of the `audiotoken` command, also as `python -m audiotoken`.

It works from any folder, whatever packages are there, because it finds the packages of this distribution first.
Ctrl-C ends it with one line and exit code 130, even during the imports.
"""

import os
import sys
import sysconfig
import time
from _thread import interrupt_main, start_new_thread
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path

from audiotoken.errors import STOPPED

HOME = Path(__file__).resolve().parent.parent  # the folder that holds this distribution's packages
# Threads of torch that wait sleep, and do not spin: where other programs take the cores, spinning took 23 times the CPU
# and the time (two frames of mini, two cores, load 10). The variable is read once, when torch is loaded.
WAIT = ("OMP_WAIT_POLICY", "PASSIVE")
SOON = 0.05  # seconds until an interrupt that was dropped comes again


def main() -> None:
    try:
        os.environ.setdefault(*WAIT)
        find_own_packages_first()
        with keeping_interrupts():
            import_module("audiotoken.cli.app").main()
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        raise SystemExit(130) from None


@contextmanager
def keeping_interrupts() -> Iterator[None]:
    """Context manager: Ctrl-C in a destructor or in the callback of an import, where Python drops it, comes again."""
    usual = sys.unraisablehook

    def interrupt_soon() -> None:
        time.sleep(SOON)
        interrupt_main()

    def interrupt_again(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            start_new_thread(interrupt_soon, ())  # in here it would be dropped once more
        else:
            usual(unraisable)

    sys.unraisablehook = interrupt_again
    try:
        yield
    finally:
        sys.unraisablehook = usual


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
