"""The package as others import it: its public names, and what they do not load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import spatial

NAMES = {
    *("listen", "localise", "separate", "match", "simulate"),
    *("Camera", "Scene", "Source", "Direction", "SpatialError"),
}
LISTEN = """
import sys, numpy, spatial
noise = numpy.random.default_rng(1).standard_normal((2, 8000)) * 0.1
assert len(spatial.listen(noise, 8000).sources)
assert len(spatial.separate(noise, 8000, [-20, 30], setup="ortf")) == 2
print(*sys.modules)
"""


def test_public_names_are_exported_and_visible_to_type_checkers():
    assert set(spatial.__all__) == NAMES <= set(dir(spatial))
    assert all(getattr(spatial, name).__name__ == name for name in NAMES)
    tree = ast.parse(Path(spatial.__file__).read_text())
    checked = [node for block in tree.body if isinstance(block, ast.If) for node in block.body]
    assert {alias.asname for node in checked for alias in node.names} == NAMES
    with pytest.raises(AttributeError, match="no attribute 'hear'"):
        _ = spatial.hear


def test_listening_loads_neither_torch_nor_a_simulator_nor_the_other_packages():
    run = subprocess.run([sys.executable, "-c", LISTEN], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert "scipy" in loaded
    assert not loaded & {"torch", "pyroomacoustics", "audiotoken", "guidance", "matplotlib", "beartype"}


@pytest.mark.slow
def test_these_tests_need_no_torch():
    """In a process of its own, since other folders' tests import torch into this one."""
    code = "import sys, pytest; pytest.main(['-q', '--collect-only', sys.argv[1]]); sys.exit('torch' in sys.modules)"
    folder = str(Path(__file__).parent)
    run = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
    assert run.returncode == 0 and "test_spatial_exports.py: 3" in run.stdout, run.stdout + run.stderr
