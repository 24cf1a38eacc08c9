"""One process, one thread: small models on a busy machine run several times faster that way."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gc
import multiprocessing
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook
from paths import SHARED
from skips import pytest_sessionfinish, pytest_terminal_summary  # noqa: F401  # hooks

# shapes on the line are checked while testing, in the modules that write them
SHAPED = ("embedder", "encoders.ast", "encoders.beats", "encoders.clap", "losses", "prompt")
install_import_hook([f"audiotoken.{name}" for name in SHAPED], "beartype.beartype")

torch.set_num_threads(1)
settings.register_profile("fixed", derandomize=True, deadline=None, database=None)  # the same examples every time
settings.load_profile("fixed")

# nothing is looked up by a name, and the browser asks for nothing of its own
OFFLINE = ("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking")
OFFLINE += ("--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run")


def pytest_collection_finish():
    """What is imported by now stays: Python need not look through it for garbage again and again (a tenth of a run)."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def chromium():
    """A real browser; the test is skipped where playwright or a Chromium is missing, which fails in CI."""
    reason = "no playwright here: pip install playwright"
    playwright = pytest.importorskip("playwright.sync_api", reason=reason)
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with playwright.sync_playwright() as browsers:
        try:
            browser = browsers.chromium.launch(executable_path=path, args=["--no-sandbox", *OFFLINE, "--disable-gpu"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium here: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def forked(monkeypatch):
    """Processes that benchmarks ask for come from this one, which has imported everything, not from a fresh one."""
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: fork)


@pytest.fixture(scope="session")
def esc10() -> Path:
    folder = SHARED / "esc10"
    if not folder.is_dir():
        pytest.skip("real ESC-10 recordings are not beside this checkout")
    return folder
