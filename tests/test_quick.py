"""What `make quick` runs is there: one argument of pytest a line."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LINES = (TESTS / "quick.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_a_file_or_a_test_of_it(line):
    file, _, name = line.partition("::")
    text = (TESTS.parent / file).read_text(encoding="utf-8")
    assert f"\ndef {name}(" in text if name else "\ndef test_" in text


def test_every_part_that_a_developer_changes_is_in_it():
    for part in ("listening", "separation", "sampling", "prompt", "embedder"):
        assert any(f"/test_{part}.py" in line for line in LINES), part
