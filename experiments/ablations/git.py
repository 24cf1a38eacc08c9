"""The state of the code that a run was made with."""

import subprocess
from pathlib import Path
from typing import Any


def git_state(folder: Path) -> dict[str, Any]:
    """{"commit", "branch", "changed": files with uncommitted changes}; all empty without git.

    All empty for an installed copy as well, such as one in the virtual environment of another project: that
    repository tracks no file of the folder.
    """
    if not _git(folder, "ls-files"):
        return {"commit": "", "branch": "", "changed": []}
    return {
        "commit": _git(folder, "rev-parse", "--short=12", "HEAD"),
        "branch": _git(folder, "rev-parse", "--abbrev-ref", "HEAD"),
        "changed": [line[3:] for line in _git(folder, "status", "--porcelain", strip=False).splitlines()],
    }


def _git(folder: Path, *arguments: str, strip: bool = True) -> str:
    try:
        ran = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    output = ran.stdout if ran.returncode == 0 else ""
    return output.strip() if strip else output
