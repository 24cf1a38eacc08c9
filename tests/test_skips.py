"""In CI a test that is skipped for a reason that is not on the list fails the run; elsewhere it is only printed."""

import pytest
import skips

pytest_plugins = ("pytester",)

TESTS = """
import pytest

def test_passes():
    pass

def test_a_browser():
    pytest.skip("no Chromium here")

@pytest.mark.skipif(True, reason="no GPU here: it wants CUDA")
def test_a_gpu():
    pass

@pytest.mark.xfail
def test_known():
    assert False
"""
PARTS = "import pytest\npytest.importorskip('no_such_module', reason='no parts here')"


@pytest.fixture
def ran(pytester, monkeypatch):
    """The closing lines and the exit code of a run of these files, in CI or not."""

    def run(ci: str | None, **files: str) -> tuple[str, int]:
        monkeypatch.delenv("CI", raising=False)
        if ci is not None:
            monkeypatch.setenv("CI", ci)
        pytester.makepyfile(**files)
        done = pytester.runpytest_inprocess("-p", "skips", "-p", "no:cacheprovider", "-rs")
        return done.stdout.str(), int(done.ret)

    return run


def test_ci_fails_and_names_the_test_and_the_reason(ran):
    said, code = ran("true", test_inner_page=TESTS)
    assert code == pytest.ExitCode.TESTS_FAILED and "1 passed, 2 skipped, 1 xfailed" in said
    assert "FAILED test_inner_page.py::test_a_browser: no Chromium here; install" in said
    assert said.count("FAILED test_inner_page.py") == 1


def test_a_whole_file_that_is_skipped_counts(ran):
    said, code = ran("true", test_inner_parts=PARTS)
    assert code == pytest.ExitCode.TESTS_FAILED and "FAILED test_inner_parts.py: no parts here; install" in said


@pytest.mark.parametrize("ci", [None, "", "false"])
def test_elsewhere_skips_are_printed(ran, ci):
    said, code = ran(ci, test_inner_page=TESTS)
    assert code == pytest.ExitCode.OK and "FAILED" not in said
    assert "SKIPPED [1] test_inner_page.py:7: no Chromium here" in said


def test_what_is_allowed_passes(ran, monkeypatch):
    monkeypatch.setitem(skips.ALLOWED, "no Chromium", "here it is allowed")
    assert ran("true", test_inner_page=TESTS)[1] == pytest.ExitCode.OK


def test_a_failure_stays_one(ran):
    fails = TESTS + "\ndef test_fails():\n    assert False\n"
    assert ran("true", test_inner_page=fails)[1] == pytest.ExitCode.TESTS_FAILED
