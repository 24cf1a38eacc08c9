"""How shapes and types in annotations are checked in tests: by beartype, in the first calls of each test."""

from collections import Counter
from collections.abc import Callable
from functools import wraps
from types import CodeType, FunctionType
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

check_types = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int for a float, as type checkers have it
FIRST, EVERY = 20, 50  # calls of a function in one test that are checked: the first, and then each fiftieth
CALLS: Counter[CodeType] = Counter()  # of the test that runs


def check_first_calls(jaxtyped: Callable[..., Any]) -> Callable[..., Any]:
    """`jaxtyping.jaxtyped`, which checks every call, for less: a check costs more than many of our functions do."""

    def jaxtyped_at_first(**options: Any) -> Callable[[Any], Any]:
        decorate = jaxtyped(**options)

        def apply(function: Any) -> Any:
            return _check_at_first(function, decorate) if isinstance(function, FunctionType) else decorate(function)

        return apply

    return jaxtyped_at_first


def _check_at_first(function: FunctionType, decorate: Callable[[Any], Any]) -> Callable[..., Any]:
    code, checked = function.__code__, None  # the code, as a function inside another is made anew in each call

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal checked
        CALLS[code] += 1
        if CALLS[code] > FIRST and CALLS[code] % EVERY:
            return function(*args, **kwargs)
        checked = checked or decorate(function)
        return checked(*args, **kwargs)

    return call


def pytest_runtest_setup() -> None:
    CALLS.clear()


def check_only_the_first_calls() -> None:
    """Of every function in modules that are imported from now on."""
    jaxtyping.jaxtyped = check_first_calls(jaxtyping.jaxtyped)
