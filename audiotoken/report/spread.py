"""Some items of many, from all over."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


def spread_evenly(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many of the items, evenly spread, in their order and with the first."""
    count = min(len(items), most)
    return [items[i * len(items) // count] for i in range(count)]
