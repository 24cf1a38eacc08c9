"""What may be skipped, and why: with CI=true any other skip fails the run, so that nothing goes untested unnoticed.

Hooks of pytest, taken up by `conftest.py`. Elsewhere skips are only printed (`-rs`).
"""

import os
import re

import pytest

# what the reason of a skip starts with (a regular expression): why it is no fault of a machine
ALLOWED = {
    r"no GPU here": "CI has none",
    r"real ESC-10 recordings are not beside this checkout": "they are not ours to ship",
    r"torchaudio does not load here": "nothing needs it; what is compared with it is frozen too",
}


def reason(report: pytest.CollectReport | pytest.TestReport) -> str:
    """As the test says it, without the place."""
    said = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return said.removeprefix("Skipped: ")


def refused(config: pytest.Config) -> list[str]:
    """A line for each skip of this run that is not allowed; none outside CI."""
    if os.environ.get("CI") != "true":
        return []
    skipped = config.pluginmanager.getplugin("terminalreporter").stats.get("skipped", [])
    said = {report.nodeid: reason(report) for report in skipped}
    return [f"{name}: {why}" for name, why in said.items() if not any(re.match(each, why) for each in ALLOWED)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if refused(session.config) and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if lines := refused(config):
        terminalreporter.section("skipped, and CI skips nothing that tests/skips.py does not allow", red=True)
        for line in lines:
            terminalreporter.line(f"FAILED {line}; install what is missing, or add the reason to tests/skips.py.")
