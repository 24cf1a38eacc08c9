"""Stands for jaxtyping, whose annotations only tests check: `Float[ndarray, "channels frames"]` is `ndarray` here."""

from typing import Any


class Shaped:
    """An array with named axes."""

    def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
        return item[0]


Bool = Complex = Float = Inexact = Int = Real = UInt8 = Shaped
