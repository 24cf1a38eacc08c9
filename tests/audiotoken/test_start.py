"""The command finds its own packages, whatever lies where it is called."""

import json
import os
import subprocess
import sys
import sysconfig
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from audiotoken import start


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """A folder that Python would look into first, with packages of our names and one of Python's own."""
    for name in ("experiments", "spatial", "json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *(each for each in sys.path if each != str(start.HOME))])
    return tmp_path


def origin(name: str) -> Path:
    spec = PathFinder.find_spec(name)
    return Path(spec.origin).parent


def test_our_packages_are_found_before_those_of_the_folder(elsewhere):
    assert origin("experiments") == elsewhere / "experiments"
    start.find_own_packages_first()
    assert origin("experiments") == start.HOME / "experiments" and origin("spatial") == start.HOME / "spatial"
    assert str(elsewhere) not in sys.path and "" not in sys.path


def test_pythons_own_library_stays_first(elsewhere):
    packages = sysconfig.get_path("purelib")
    start.find_own_packages_first()
    assert origin("json") == Path(json.__file__).parent
    assert sys.path.index(str(start.HOME)) < sys.path.index(packages)
    start.find_own_packages_first()
    assert sys.path.count(str(start.HOME)) == 1


@pytest.mark.parametrize(("chosen", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_that_wait_sleep_unless_told_otherwise(chosen, expected):
    """Set before torch is loaded, which reads it once."""
    code = "import os, sys; from audiotoken import start; before = 'torch' in sys.modules\n"
    code += "sys.argv = ['audiotoken', '-h']\n"
    code += "try: start.main()\nexcept SystemExit: print(before, os.environ['OMP_WAIT_POLICY'])"
    unset = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=unset | chosen, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"False {expected}"
