"""The types of a function's parameters as the types of its configuration: nothing is written down twice."""

import dataclasses
import inspect
import os
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from audiotoken.errors import OptionError

MISSING = "???"  # OmegaConf's mark of a value that must be given
NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
PLURALS = {int: "whole numbers", float: "numbers", bool: "true or false", str: "texts"}


@cache
def types_of(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    """The parameters of a function or class, each with the types that OmegaConf may try for it, in order.

    Callbacks (`on_step` and the like) are no keys and are left out.
    """
    try:
        parameters = inspect.signature(function, eval_str=True).parameters
    except NameError:  # an annotation that only type checkers import
        parameters = inspect.signature(function).parameters
    return {
        name: _config_types(each.annotation)
        for name, each in parameters.items()
        if not name.startswith("on_") and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    }


def convert_options(
    function: Callable[..., Any],
    options: Mapping[str, Any],
    prefix: str = "",
    nested: Mapping[str, Callable[..., Any]] | None = None,
) -> dict[str, Any]:
    """`options` with the types of the function's parameters: "8" becomes 8 for an int, 1 becomes "1" for a path.

    prefix: what stands before the keys on the command line, such as "source.". nested: functions or classes whose
    parameters are the keys of an option, at any depth, such as {"settings": Settings}. Keys that are no parameters
    pass unchanged.
    OptionError naming the key, the type that was expected and the value that came.
    """
    converted = dict(options)
    for key, kinds in types_of(function).items():
        if key not in options or options[key] == MISSING:
            continue
        value, inner = options[key], (nested or {}).get(key)
        try:
            converted[key] = _convert(value, kinds)
        except ValueError:
            names = " or ".join(map(describe_type, kinds))
            raise OptionError(f"Got {prefix}{key}={_show(value)}, expected {names}; change {prefix}{key}.") from None
        if inner is not None and isinstance(value, Mapping):
            converted[key] = convert_options(inner, value, f"{prefix}{key}.", nested)
    return converted


def _convert(value: Any, kinds: Iterable[Any]) -> Any:
    """The value as the first of the types that holds it, by the rules of a structured config; else ValueError."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    for kind in kinds:
        try:
            node = OmegaConf.merge(OmegaConf.structured(_make_schema(kind)), {"value": value})
        except OmegaConfBaseException:
            continue
        if isinstance(value, int) and isinstance(node.value, float):
            return value  # 2 stays 2 where 2.5 may come
        return OmegaConf.to_container(node)["value"]  # type: ignore[index,call-overload]
    raise ValueError(f"Got {value!r}, which none of {kinds} holds.")


@cache
def _make_schema(kind: Any) -> type:
    return dataclasses.make_dataclass("Schema", [("value", kind, dataclasses.field(default=MISSING))])


def describe_type(kind: Any) -> str:
    """A type in plain words, such as "a whole number or null"."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        inner = [each for each in typing.get_args(kind) if each is not type(None)]
        words = [describe_type(each) for each in inner] + ["null"] * (len(inner) < len(typing.get_args(kind)))
        return " or ".join(words)
    if typing.get_origin(kind) is list:
        of = typing.get_args(kind)[0]
        return f"a list of {PLURALS[of]}" if of in PLURALS else "a list"
    return "keys with values" if typing.get_origin(kind) is dict else NAMES.get(kind, "another value")


def _config_types(annotation: Any) -> tuple[Any, ...]:
    """The types that OmegaConf knows for an annotation: one, or several where a text or a list may come."""
    if typing.get_origin(annotation) not in (types.UnionType, typing.Union):
        return (_config_type(annotation),)
    arguments = typing.get_args(annotation)
    kinds = list(dict.fromkeys(_config_type(each) for each in arguments if each is not type(None)))
    none = [None] * (type(None) in arguments)
    if Any in kinds:
        return (Any,)
    if set(kinds) <= set(NAMES):
        return (typing.Union[(*kinds, *none)],)
    return (*kinds[:-1], typing.Union[(kinds[-1], *none)])


def _config_type(annotation: Any) -> Any:
    """The nearest type that OmegaConf knows: a path is a str, a sequence a list, a mapping a dict."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in NAMES:
        return annotation
    if annotation is os.PathLike or origin is os.PathLike:
        return str
    if origin in (list, tuple, Sequence, Iterable):
        (of, *_) = _config_types(arguments[0])
        return list[of] if of in NAMES else list[Any]  # type: ignore[valid-type]
    return dict[str, Any] if origin in (dict, Mapping) else Any


def _show(value: Any) -> str:
    return "null" if value is None else str(value).replace("\n", " ")
