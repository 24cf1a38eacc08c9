"""The signature of a function or class, read from its source, so that nothing that takes seconds is imported for it."""

import ast
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# The names in the types of options.
KNOWN: dict[str, Any] = {"os": os, "Mapping": Mapping, "Sequence": Sequence, "Any": Any}
KNOWN |= {each.__name__: each for each in (str, int, float, bool, list, tuple, dict)}


def read_signature(path: str) -> Callable[..., None]:
    """A stand-in for "package.module.name" of ours, with its parameters; those of other types are left out."""
    module, _, name = path.rpartition(".")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"There is no module {module}.")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and name in [each.name for each in node.names]:
            return read_signature(f"{node.module}.{name}")
    (found,) = (each for each in tree.body if getattr(each, "name", None) == name)

    def stand_in(**options: Any) -> None: ...

    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(key, kind, annotation=type_) for key, type_ in _list_types(found)]
    stand_in.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return stand_in


def _list_types(node: ast.stmt) -> Iterator[tuple[str, Any]]:
    """(parameter, type) of a function, of a class's `__init__`, or (field, type) of a dataclass."""
    body = node.body if isinstance(node, ast.ClassDef) else []
    function = next((each for each in (node, *body) if isinstance(each, ast.FunctionDef)), None)
    fields: list[tuple[str, ast.expr | None]]
    fields = [(ast.unparse(each.target), each.annotation) for each in body if isinstance(each, ast.AnnAssign)]
    if function is not None and not fields:
        fields = [(each.arg, each.annotation) for each in (*function.args.args, *function.args.kwonlyargs)]
    for name, annotation in fields:
        if annotation is not None and {e.id for e in ast.walk(annotation) if isinstance(e, ast.Name)} <= set(KNOWN):
            yield name, _resolve(annotation)


def _resolve(annotation: ast.expr) -> Any:
    """The type that an annotation of `KNOWN` names means; nothing is executed."""
    match annotation:
        case ast.Name(name):
            return KNOWN[name]
        case ast.Constant(value):
            return value
        case ast.Attribute(value, name):
            return getattr(_resolve(value), name)
        case ast.Subscript(value, inner):
            return _resolve(value)[_resolve(inner)]
        case ast.Tuple(parts):
            return tuple(_resolve(part) for part in parts)
        case ast.BinOp(left, ast.BitOr(), right):
            return _resolve(left) | _resolve(right)
    raise TypeError(f"Got the annotation {ast.unparse(annotation)}, expected names, [...] and |; write it so.")
