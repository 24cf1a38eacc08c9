"""One process, one thread: small models on a busy machine run several times faster that way.

Nothing here imports torch: the folders that need it do so in a conftest of their own.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gc
import sys
import tempfile
from functools import cache

import typer.testing
from hypothesis import settings
from jaxtyping import install_import_hook
from skips import pytest_sessionfinish, pytest_terminal_summary  # noqa: F401  # hooks
from type_checks import check_only_the_first_calls, pytest_runtest_setup  # noqa: F401  # a hook

COMPILED = None  # the folder of this run's bytecode, so that nothing is left and none lies among the sources
if sys.dont_write_bytecode:  # else each process that a test starts would compile torch and its like once more
    COMPILED = tempfile.TemporaryDirectory(prefix="compiled-")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = COMPILED.name
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False

gc.disable()  # until all tests are imported: nothing of that is garbage

# Tests check the shapes in annotations, of packages or single modules. The hooks stand here because a folder's conftest
# comes too late: by then the tests of another folder have imported the package unchecked.
SHAPED = [
    *(
        f"audiotoken.{name}"
        for name in ("embedder", "encoders.ast", "encoders.beats", "encoders.ced", "encoders.clap", "losses")
    ),
    "audiotoken.prompt",
    *(f"guidance.{name}" for name in ("attention", "energies", "frames", "steering")),  # Region converts its fields
]
check_only_the_first_calls()
install_import_hook(SHAPED, "beartype.beartype")
install_import_hook("spatial", "type_checks.check_types")

# the whole command line is built once, not in each call of a runner; the name is private, and may go
if hasattr(typer.testing, "_get_command"):
    typer.testing._get_command = cache(typer.testing._get_command)

settings.register_profile("fixed", derandomize=True, deadline=None, database=None)  # the same examples every time
settings.load_profile("fixed")


def pytest_collection_finish():
    """What is imported by now stays: Python need not look through it for garbage again and again (a tenth of a run)."""
    gc.collect()
    gc.freeze()
    # little of what a test leaves is in cycles; the rest is freed without the collector
    gc.set_threshold(10_000, *gc.get_threshold()[1:])
    gc.enable()


def pytest_unconfigure():
    if COMPILED is not None:
        COMPILED.cleanup()
