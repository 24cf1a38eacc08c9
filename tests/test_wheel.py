"""The wheel: all that the commands need is in it, and they run from it, far from the checkout.

The clean environment has a Python of its own. Its libraries are those of these tests, by a line in a .pth file, which
does not lead to this checkout, even where that is installed as editable: lines of further .pth files are not read.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from paths import ROOT
from PIL import Image

PACKAGES = ("audiotoken", "spatial", "guidance")
ABOUT = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}
HERE = "fremder Ordner ü"  # where the commands run
CLIP, PICTURE, PAGE = "aufnahme ä.wav", "bild.png", "bericht.html"

CHECK = f"""
import sys
from pathlib import Path
import audiotoken, guidance, spatial

for package in (audiotoken, guidance, spatial):
    assert Path(package.__file__).is_relative_to(sys.prefix), package.__file__

from hydra import compose, initialize_config_module
with initialize_config_module("audiotoken.configs", version_base=None):
    assert compose("train", ["source=esc", "recipe=published"]).source._target_

import soundfile
from audiotoken.mini.sounds import synthesise
from spatial import simulate
sounds = [(0.3 * synthesise(word, 44_100, 5.0, 5), azimuth) for word, azimuth in (("dog", -48.0), ("rooster", 37.0))]
soundfile.write(Path("{CLIP}"), simulate(sounds, "ortf", rate=44_100).T, 44_100)
assert "torch" not in sys.modules
"""


def ran(*command: str | Path, folder: Path, **variables: str) -> str:
    """What a command says, in `folder` and without what leads Python to the checkout; an error is told with it."""
    unwanted = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1"} | variables
    done = subprocess.run(
        [str(each) for each in command], cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=600
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def files_below(folder: Path) -> dict[str, int]:
    """Path -> size of every file but compiled ones."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A clean copy of the checkout."""
    folder = tmp_path_factory.mktemp("source")
    for name in (*PACKAGES, "configs", "experiments", "tests", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    asked = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    for each in map(Requirement, ["pip>=22.3", *asked]):
        try:
            found = version(each.name)
        except PackageNotFoundError:
            found = "none"
        if found == "none" or found not in each.specifier:
            pytest.skip(f"{each.name} here: {found}; building without a network wants: pip install '{each}'")
    before, folder = files_below(source), tmp_path_factory.mktemp("wheel")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--no-cache-dir")
    ran(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", folder, source, folder=folder)
    assert before.items() <= files_below(source).items()
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A virtual environment with the wheel."""
    folder = tmp_path_factory.mktemp("clean") / "environment"
    ran(sys.executable, "-m", "venv", "--without-pip", folder, folder=folder.parent)
    (own,) = folder.glob("lib/python*/site-packages")
    lent = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (own / "lent.pth").write_text("\n".join(lent) + "\n", encoding="utf-8")
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install")
    ran(*pip, "--no-deps", "--no-index", "--ignore-installed", "--no-compile", wheel, folder=folder.parent)
    return folder


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(source, wheel):
    """Every file of the package folders is needed by some command: weights, configurations, parts of pages."""
    with zipfile.ZipFile(wheel) as archive:
        held = {each.filename: each.file_size for each in archive.infolist() if not each.is_dir()}
    about = {name.partition(".dist-info/")[2] for name in held if ".dist-info/" in name}
    wanted = {
        name: size
        for name, size in files_below(source).items()
        if name.startswith(tuple(f"{each}/" for each in PACKAGES))
    }
    assert about == ABOUT
    assert {name: size for name, size in held.items() if ".dist-info/" not in name} == wanted


@pytest.mark.slow
def test_an_installed_command_places_a_recording_of_any_folder(installed, tmp_path):
    here = tmp_path / HERE
    here.mkdir()
    before = files_below(installed)
    ran(installed / "bin" / "python", "-c", CHECK, folder=here)
    for name in PACKAGES[1:]:  # whatever lies there, even where Python is told to look there first
        (here / name).mkdir()
        (here / name / "__init__.py").write_text("raise RuntimeError('not ours')", encoding="utf-8")
    ran(installed / "bin" / "python", "-c", "from audiotoken import load_audio, Prompt", folder=here)
    command = (installed / "bin" / "audiotoken", "place", CLIP, "-o", PICTURE, "--report", PAGE, "--steps", "2")
    said = ran(*command, folder=here, PYTHONPATH=str(here))
    assert "dog" in said and f"wrote  {PICTURE}, {PAGE}" in said
    assert Image.open(here / PICTURE).size == (128, 128)
    assert "data:image/" in (here / PAGE).read_text(encoding="utf-8")
    assert sorted(each.name for each in here.iterdir() if each.is_file()) == [CLIP, PAGE, PICTURE]
    assert files_below(installed) == before
