"""The site of docs/ builds without a warning: no dead link, no page left out, every docstring read."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_the_site_builds_and_loads_nothing_from_elsewhere(tmp_path):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install -e .[docs]")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    page = (tmp_path / "site" / "api" / "spatial" / "index.html").read_text()
    assert "THE angle convention" in page and "separate" in page
    assert not [*(tmp_path / "site").rglob("*.py*")]
    start = (tmp_path / "site" / "index.html").read_text()
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"?https?://", start)


def test_every_page_is_in_the_navigation():
    nav = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        assert str(page.relative_to(ROOT / "docs")) in nav, page


def test_every_paper_that_code_follows_is_cited():
    cited = (ROOT / "docs" / "citations.md").read_text()
    for folder in ("audiotoken", "spatial", "guidance", "experiments"):
        for path in (ROOT / folder).rglob("*.py"):
            for number in re.findall(r"arXiv:? ?(\d{4}\.\d{4,5})", path.read_text(encoding="utf-8")):
                assert number in cited, f"{path.name} follows arXiv {number}; say in docs/citations.md what for"
