"""Which names of the open lists are held back: training never hears them, tests ask whether they are spelled right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from speechverse.seeding import hash_seed

_ONE_IN = 6


def names_held_back(names: Mapping[str, str], plain_lines: Iterable[str]) -> frozenset[str]:
    """About one in six names of open lists, by a hash of the name alone.

    A name that is said elsewhere (in a template, a closed list, inside a longer name that is not held back) would be
    heard in training all the same, and so is never held back.

    Args:
        names: Every name of every open list → how it is said.
        plain_lines: All else that training can say.
    """
    held = {name for name in names if hash_seed(0, "held back", name) % _ONE_IN == 0}
    lines = [*plain_lines, *(said for name, said in names.items() if name not in held)]
    while True:
        heard = " , ".join(["", *lines, ""])
        leaks = {name for name in held if f" {name} " in heard}
        if not leaks:
            return frozenset(held)
        held -= leaks
        lines = [names[name] for name in leaks]
