"""The list of `mutants.py` is of the code as it is; `make mutants` takes minutes and is not part of the suite."""

import mutants
import pytest


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_code_and_has_tests(mutant):
    assert mutants.matches(mutant) == 1 and mutant.old != mutant.new
    compile((mutants.ROOT / mutant.file).read_text().replace(mutant.old, mutant.new), mutant.file, "exec")
    for test in mutant.tests.partition(" -k ")[0].split():
        file, _, name = test.partition("::")
        assert not name or f"def {name}(" in (mutants.ROOT / "tests" / file).read_text(), test
        assert (mutants.ROOT / "tests" / file).is_file(), test


def test_mutants_have_names_of_their_own():
    assert len({one.name for one in mutants.MUTANTS}) == len(mutants.MUTANTS) >= 40
