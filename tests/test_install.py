"""install.py chooses the right torch, tells what it does, and stops with a sentence. The whole of it: `make test`."""

import ast
import os
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from paths import ROOT

import install

VERSIONS = ("2.15.0", "2.15.0+cpu", "2.14.1", "2.13.0+cpu", "2.13.0", "2.10.0+cpu", "3.0.0+cpu")
LINE = "  Downloading torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl (530.2 MB)\n"


def test_the_cpu_build_is_the_pinned_one_or_the_newest_allowed_before_it():
    assert install.choose_cpu_build(VERSIONS, "2.15.0") == "2.15.0+cpu"
    assert install.choose_cpu_build(VERSIONS, "2.14.1") == "2.13.0+cpu"  # never above the pin
    assert install.choose_cpu_build(VERSIONS[2:], "2.15.0") == "2.13.0+cpu"
    assert install.choose_cpu_build(("2.9.0+cpu", "2.13.0+cpu", "2.12.1+cpu"), None) == "2.13.0+cpu"
    assert install.choose_cpu_build(VERSIONS[2:], None) is None  # 2.14.1 is newer
    assert install.choose_cpu_build(("2.15.0", "3.0.0+cpu", "2.10.0+cpu"), "2.15.0") is None
    assert install.choose_cpu_build((), None) is None


@pytest.fixture
def environment(monkeypatch):
    """No pip is run; what would be installed, and whether torch's CPU build is there, are up to the test."""
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(install, "pip", lambda python, *arguments, doing: ran.append(arguments))
    monkeypatch.setattr(install.platform, "system", lambda: "Linux")
    monkeypatch.setattr(install, "find_torch_version", lambda python: "")
    monkeypatch.setattr(install, "list_index_versions", lambda python: list(VERSIONS))
    monkeypatch.setattr(install, "install_cpu_torch_with_uv", lambda python, pinned: False)
    return ran


PINS = ["torch==2.15.0", "triton==3.9.0 ; sys_platform == 'linux'", "nvidia-cublas==13.4", "numpy==2.4.6"]


def test_the_cpu_build_goes_without_the_pins_of_cuda(environment, monkeypatch):
    assert install.install_cpu_torch(None, PINS, required=False) == ["numpy==2.4.6"]
    assert environment[0][-1] == "torch==2.15.0+cpu"
    monkeypatch.setattr(install, "find_torch_version", lambda python: "2.12.0+cpu")
    assert install.install_cpu_torch(None, PINS, required=True) == ["numpy==2.4.6"] and len(environment) == 1


def test_without_a_cpu_build_the_default_one_serves_unless_it_was_asked_for(environment, monkeypatch, capsys):
    monkeypatch.setattr(install, "list_index_versions", lambda python: ["2.15.0"])
    assert install.install_cpu_torch(None, PINS, required=False) == PINS and environment == []
    assert "brings CUDA" in capsys.readouterr().out
    with pytest.raises(install.InstallError, match="found no CPU build"):
        install.install_cpu_torch(None, PINS, required=True)
    monkeypatch.setattr(install, "install_cpu_torch_with_uv", lambda python, pinned: pinned == "2.15.0")
    assert install.install_cpu_torch(None, PINS, required=True) == ["numpy==2.4.6"]


def test_elsewhere_than_on_linux_there_is_one_build(environment, monkeypatch):
    monkeypatch.setattr(install.platform, "system", lambda: "Darwin")
    assert install.install_cpu_torch(None, PINS, required=True) == PINS and environment == []


@pytest.mark.parametrize(("build", "driver", "wanted"), [("auto", False, 1), ("auto", True, 0), ("cpu", True, 1)])
def test_the_driver_decides_unless_told(environment, monkeypatch, tmp_path, build, driver, wanted):
    asked = []
    monkeypatch.setattr(install, "make_environment", lambda venv: venv)
    monkeypatch.setattr(install, "has_nvidia_driver", lambda: driver)
    monkeypatch.setattr(install, "install_cpu_torch", lambda python, pins, required: asked.append(required) or pins)
    install.install(tmp_path, build)
    assert len(asked) == wanted and environment[-1][-1] == f"{ROOT}[dev]"


def test_a_python_that_was_not_tried_is_refused(monkeypatch):
    monkeypatch.setattr(install.sys, "version_info", (3, 10, 4))
    with pytest.raises(install.InstallError, match=r"this is Python 3\.10, expected 3\.11 to 3\.13"):
        install.check_python()


def test_an_older_python_gets_as_far_as_the_sentence():
    tree = ast.parse((ROOT / "install.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    imported = {name.name for node in tree.body if isinstance(node, ast.Import) for name in node.names}
    assert "tomllib" not in imported and imported <= sys.stdlib_module_names


def test_an_index_that_cannot_be_reached_is_not_one_without_cpu_builds(environment, monkeypatch):
    monkeypatch.setattr(install, "list_index_versions", lambda python: [])
    for required in (True, False):
        with pytest.raises(install.InstallError, match="cannot be reached"):
            install.install_cpu_torch(None, PINS, required=required)


@pytest.mark.parametrize("python", ["no file", "dangling", "no program", "another Python"])
def test_a_damaged_environment_is_named(tmp_path, python):
    (tmp_path / "pyvenv.cfg").touch()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "python"
    if python == "dangling":
        program.symlink_to(tmp_path / "gone")
    elif python != "no file":
        program.write_text("#!/bin/sh\necho 3.2\n" if python == "another Python" else "junk", encoding="utf-8")
        program.chmod(0o755)
    with pytest.raises(install.InstallError, match="damaged or belongs to another Python; remove that folder"):
        install.make_environment(tmp_path)


def test_ctrl_c_leaves_no_half_environment(tmp_path, monkeypatch):
    def interrupted(command, **options):
        (tmp_path / "venv").mkdir()
        (tmp_path / "venv" / "pyvenv.cfg").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(install.subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        install.make_environment(tmp_path / "venv")
    assert not (tmp_path / "venv").exists()


def test_nothing_of_the_users_is_overwritten(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(install.InstallError, match="not a virtual environment"):
        install.make_environment(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.tex"]


def test_large_downloads_are_told():
    assert install.find_progress(LINE) == "torch-2.15.0, 530.2 MB"
    assert install.find_progress(LINE.replace("530.2 MB", "1.2 GB")) == "torch-2.15.0, 1.2 GB"
    assert install.find_progress(LINE.replace("530.2 MB", "9.9 MB")) is None
    assert install.find_progress("Installing collected packages: torch\n") == "putting the packages in place"
    assert install.find_progress("Collecting torch\n") is None


def test_what_pip_says_is_shown_when_it_fails(tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    with pytest.raises(install.InstallError, match=r"stopped at trying(.|\n)*nonsense"):
        install.pip(python, "nonsense", doing="trying")


def test_the_command_ends_with_a_sentence(tmp_path):
    (tmp_path / "thesis.tex").touch()
    command = [sys.executable, str(ROOT / "install.py"), "--venv", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.startswith("install.py: ")


# --- pyproject.toml and constraints.txt ---

LOCKED = ("dev", "demo", "docs", "world", "sweep")  # the extras in it, as `make lock` says


def pins(python: str, system: str) -> dict[str, str]:
    """Name -> version of constraints.txt on this Python and system."""
    here = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": system}
    lines = map(Requirement, install.read_pins())
    asked = [each for each in lines if each.marker is None or each.marker.evaluate(here)]
    assert len({canonicalize_name(each.name) for each in asked}) == len(asked), "two pins of one distribution"
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in asked}


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_pins_what_pyproject_asks_for(python, system):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(line for name in LOCKED for line in project["optional-dependencies"][name])]
    found = pins(python, system)
    wrong = [
        f"{each}: constraints.txt has {found.get(canonicalize_name(each.name), 'no pin')}; run `make lock`"
        for each in map(Requirement, asked)
        if not each.specifier.contains(found.get(canonicalize_name(each.name), "0"), prereleases=True)
    ]
    assert not wrong, "\n".join(wrong)
    assert "torchaudio" not in found and len(found) > 100


def test_the_lock_is_for_the_pythons_that_are_claimed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (low, high) = install.PYTHONS
    assert project["requires-python"] == f">={low[0]}.{low[1]},<{high[0]}.{high[1] + 1}"
    named = {f"Programming Language :: Python :: 3.{minor}" for minor in range(low[1], high[1] + 1)}
    assert named <= set(project["classifiers"])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(f"--extra {each}" in makefile for each in LOCKED) and f"--python-version {low[0]}.{low[1]}" in makefile
