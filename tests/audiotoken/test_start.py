"""The command finds its own packages, whatever lies where it is called."""

import json
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
