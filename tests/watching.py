"""Somebody who looks at progress and remembers it."""

from __future__ import annotations

from speechverse.progress import Advance


class Watched(list[tuple[int, int, str]]):
    """A `Watch`: how many were done, of how many, and of what, whenever something was told."""

    def __call__(self, what: str, total: int) -> Advance:
        self.append((0, total, what))
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self.append((done, total, what))

        return advance
