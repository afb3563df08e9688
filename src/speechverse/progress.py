"""How far long work is: what it tells, in one shape everywhere."""

from __future__ import annotations

from collections.abc import Callable

Advance = Callable[[int], None]
"""Told how many more are done."""

Watch = Callable[[str, int], Advance]
"""Told that a part of the work begins, what it is and how many there are to do; gives what counts
them. No time is foretold for parts to come: what is another thing takes another time."""


def ignore(count: int) -> None:
    """An `Advance` that nobody looks at."""


def watch_nothing(what: str, total: int) -> Advance:
    """A `Watch` that nobody looks at."""
    return ignore
