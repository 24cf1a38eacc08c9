"""Torch on one thread, a browser, and recordings that are not ours to ship."""

import shutil
from pathlib import Path

import pytest
import torch
from paths import SHARED

torch.set_num_threads(1)

# nothing is looked up by a name, and the browser asks for nothing of its own
OFFLINE = ("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-background-networking")
OFFLINE += ("--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run")


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


@pytest.fixture(scope="session")
def esc10() -> Path:
    folder = SHARED / "esc10"
    if not folder.is_dir():
        pytest.skip("real ESC-10 recordings are not beside this checkout")
    return folder
