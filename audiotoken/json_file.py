"""Reads JSON of a known form; whatever else is in the text is a `FormError`, the second half of a sentence.

A form is a type as in annotations: `str`, `bool`, `int`, `float` (any finite number), `None`, `Any`, `list[...]`,
`dict[str, ...]`, and unions of these.
"""

import json
import math
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from audiotoken.errors import first_sentence, printable

NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


class FormError(ValueError):
    """A text that is no JSON, or JSON of another form."""


def read_json(path: Path, fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The object in a file, whose keys must be exactly `fields` with values of these forms, if given; FormError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise FormError(f"it cannot be read ({first_sentence(error)})") from None
    values = parse_object(text)
    if fields is not None:
        check_fields(values, fields)
    return values


def parse_object(text: str | bytes) -> dict[str, Any]:
    """The object that a text holds; FormError for any other text."""
    values = parse_json(text)
    if not isinstance(values, dict):
        raise FormError(f"it holds {describe(values)}, expected an object")
    return values


def parse_json(text: str | bytes) -> Any:
    """What a text holds; FormError if it is no JSON, or nested too deep."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError, TypeError) as error:
        raise FormError(f"it is not JSON ({first_sentence(error)})") from None


def check_fields(
    values: Mapping[str, Any], fields: Mapping[str, Any], optional: Mapping[str, Any] | None = None
) -> None:
    """FormError unless the keys are those of `fields`, and perhaps some `optional` ones, with values of their forms."""
    known = {**fields, **(optional or {})}
    if missing := [key for key in fields if key not in values]:
        raise FormError(f"it has no {missing[0]}")
    if unknown := [key for key in values if key not in known]:
        raise FormError(f"it has an unknown key {printable(unknown[0])[:40]}")
    for key, value in values.items():
        check_form(value, known[key], key)


def check_form(value: Any, form: Any, name: str) -> None:
    """FormError unless a value has this form; `name` says where it stands."""
    inner = typing.get_args(form)
    if form is Any:
        return
    if isinstance(form, types.UnionType):
        nested = [each for each in inner if typing.get_origin(each) is type(value)]
        if nested:
            check_form(value, nested[0], name)
        elif not any(_is_plain(value, each) for each in inner):
            raise FormError(f"{name} is {describe(value)}, expected {' or '.join(map(_name_form, inner))}")
    elif typing.get_origin(form) is list and isinstance(value, list):
        for place, each in enumerate(value):
            check_form(each, inner[0], f"{name}[{place}]")
    elif typing.get_origin(form) is dict and isinstance(value, dict):
        for key, each in value.items():
            check_form(key, str, f"a key of {name}")
            check_form(each, inner[1], f"{name}.{printable(key)[:40]}")
    elif not _is_plain(value, form):
        raise FormError(f"{name} is {describe(value)}, expected {_name_form(form)}")


def _is_plain(value: Any, form: Any) -> bool:
    checks: dict[Any, Callable[[Any], bool]] = {
        str: lambda each: isinstance(each, str) and _is_encodable(each),
        bool: lambda each: isinstance(each, bool),
        int: lambda each: isinstance(each, int) and not isinstance(each, bool) and abs(each) < 2**63,
        float: lambda each: isinstance(each, int | float) and not isinstance(each, bool) and _is_finite(each),
        type(None): lambda each: each is None,
    }
    return form in checks and checks[form](value)


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character
        return False
    return True


def _is_finite(number: float) -> bool:
    return abs(number) < 1e300 and math.isfinite(number)


def _name_form(form: Any) -> str:
    origin = typing.get_origin(form)
    return {list: "a list", dict: "an object"}.get(origin) or NAMES.get(form, "another value")


def describe(value: Any) -> str:
    """A value for an error: short, on one line."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        return "a number of many digits"
    text = printable(ascii(value) if isinstance(value, str) else json.dumps(value))
    return text if len(text) <= 40 else f"{text[:40]}..."
