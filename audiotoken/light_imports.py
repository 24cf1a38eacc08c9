"""Lets diffusers, transformers and scipy.signal be imported without what drawing does not use.

They import peft (LoRA), torch._dynamo (compiling) and scipy.stats at once: half of the time in which a small picture
is drawn. Inside `postponing`, these modules are stand-ins, whose names import the real module when they are used: when
they are called, or when one of their attributes is read. Only the decorators of torch._dynamo do nothing, since a
process of the command line compiles nothing. The files of all installed distributions, which diffusers looks through
to learn whose package is whose, are looked at when somebody asks. For the command line only: who imports this package
as a library gets these libraries as they are.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module, metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

POSTPONED = ("peft", "torch._dynamo", "scipy.stats")
MARKS = {"torch._dynamo": ("allow_in_graph", "disable", "assume_constant_result")}  # decorators that may do nothing
SUBMODULES = {"torch._dynamo": ("eval_frame",)}  # asked for as attributes
RARELY = 50_000  # new objects that can hold others between two searches for garbage; in Python 3.11 usually 700


class Later:
    """A name of a postponed module: it becomes the real one when it is called or an attribute is read."""

    def __init__(self, module: str, name: str) -> None:
        self.__dict__.update(_module=module, _name=name)

    def _resolve(self) -> Any:
        with _real_modules():
            return getattr(import_module(self._module), self._name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._resolve()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._resolve(), name)

    def __instancecheck__(self, instance: object) -> bool:
        """Nothing is an instance of a class that is not imported yet."""
        loaded = not isinstance(sys.modules.get(self._module, None), (_StandIn, type(None)))
        return loaded and isinstance(instance, self._resolve())

    def __or__(self, other: Any) -> Any:
        """In annotations, which are not read."""
        return self

    __ror__ = __or__

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._resolve(),)


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in SUBMODULES.get(self.__name__, ()):
            return import_module(f"{self.__name__}.{name}")
        return _mark if name in MARKS.get(self.__name__, ()) else Later(self.__name__, name)


def _mark(function: Callable | None = None, *args: Any, **options: Any) -> Any:
    """A decorator, with or without brackets, that changes nothing."""
    return function if function is not None else _mark


class _Finder(MetaPathFinder, Loader):
    """Finds the stand-ins, before all other finders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if _is_postponed(fullname) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


_FINDER = _Finder()


def _is_postponed(name: str) -> bool:
    return any(f"{name}.".startswith(f"{each}.") for each in POSTPONED)


class _PackageMap(Mapping[str, list[str]]):
    """`importlib.metadata.packages_distributions`, which looks at every installed file, once it is read."""

    def __init__(self, read: Callable[[], Mapping[str, list[str]]]) -> None:
        self._read = read

    @cached_property
    def _packages(self) -> Mapping[str, list[str]]:
        return self._read()

    def __getitem__(self, package: str) -> list[str]:
        return self._packages[package]

    def __iter__(self) -> Iterator[str]:
        return iter(self._packages)

    def __len__(self) -> int:
        return len(self._packages)


@contextmanager
def postponing() -> Iterator[None]:
    """Import stand-ins for what is `POSTPONED`, inside the `with` block; if one is imported already, do nothing."""
    if _FINDER in sys.meta_path or any(each in sys.modules for each in POSTPONED):
        yield
        return
    read_packages = metadata.packages_distributions
    sys.meta_path.insert(0, _FINDER)
    metadata.packages_distributions = lambda: _PackageMap(read_packages)
    try:
        yield
    finally:
        metadata.packages_distributions = read_packages
        sys.meta_path.remove(_FINDER)
        _remove_stand_ins()


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Look for garbage rarely inside the `with` block.

    Imports make objects that stay, and each search looks through them again: without most searches, importing torch
    and diffusers took 3.6 instead of 4.4 CPU seconds.
    """
    usual = gc.get_threshold()
    gc.set_threshold(RARELY, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@contextmanager
def _real_modules() -> Iterator[None]:
    """Inside the `with` block, the modules themselves are imported."""
    active = _FINDER in sys.meta_path
    if active:
        sys.meta_path.remove(_FINDER)
    _remove_stand_ins()
    try:
        yield
    finally:
        if active:
            sys.meta_path.insert(0, _FINDER)


def _remove_stand_ins() -> None:
    """Remove them from sys.modules, and from the packages that they were set on."""
    for name in [name for name, module in sys.modules.items() if isinstance(module, _StandIn)]:
        del sys.modules[name]
        parent, _, child = name.rpartition(".")
        if isinstance(vars(sys.modules.get(parent, ModuleType(parent))).get(child), _StandIn):
            delattr(sys.modules[parent], child)
