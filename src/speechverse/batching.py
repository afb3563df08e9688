"""Items in batches: of one size, or of so much padding at most."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of so many items, in their order; the last has the rest."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def cut_into_batches(
    items: Iterable[Item], length: Callable[[Item], float], budget: float, most: int | None = None
) -> Iterator[list[Item]]:
    """Cuts items, in their order, into batches: the longest item's length times their number is
    within the budget.

    Args:
        items: Those of like length side by side, for little padding.
        length: Of an item; one that is over the budget alone is a batch of its own.
        budget: Padded length of a batch.
        most: Items in a batch.
    """
    batch: list[Item] = []
    longest = 0.0
    for item in items:
        longest = max(longest, length(item))
        if batch and (len(batch) == most or longest * (len(batch) + 1) > budget):
            yield batch
            batch, longest = [], length(item)
        batch.append(item)
    if batch:
        yield batch
