"""Annotations are checked while testing: in the first calls of each test, and then now and then."""

import jaxtyping
import pytest
from type_checks import EVERY, FIRST, check_types

from audiotoken import losses
from guidance import attention
from spatial import spectra


def test_first_calls_and_then_some_are_checked():
    @jaxtyping.jaxtyped(typechecker=check_types)
    def double(value: float) -> float:
        return 2 * value

    refused = []
    for number in range(1, 3 * EVERY + 1):
        try:
            double("no")
        except jaxtyping.TypeCheckError:
            refused.append(number)
    assert refused == [*range(1, FIRST + 1), EVERY, 2 * EVERY, 3 * EVERY]
    with pytest.raises(jaxtyping.TypeCheckError, match="return"):

        @jaxtyping.jaxtyped(typechecker=check_types)
        def name(value: int) -> str:
            return value

        name(3)


@pytest.mark.parametrize("function", [losses.token_l1, attention.project, spectra.stft])
def test_packages_are_checked(function):
    assert function.__code__.co_filename.endswith("type_checks.py")
