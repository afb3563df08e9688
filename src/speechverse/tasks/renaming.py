"""Labels under other names: what a model reads in the list it must answer with, not what it
remembers.

Trained under one name a label, a small LLM learns the names by heart and takes a new label for the
nearest old one. In training a list's labels may therefore be renamed, all in one manner of writing:
the answer is then the new name.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files

from speechverse.errors import TaskError
from speechverse.tasks.labels import LabelSet, label_key

_PART_RENAMED = 0.5
"""Probability that a part of a name is replaced by one of like meaning."""

_REORDERED = 0.2
"""Probability that the parts of all names of two are swapped (`alarm_set`)."""

_PARTS = re.compile(r"[_\s.]+|(?<=[a-z])(?=[A-Z])")


def _title(words: list[str]) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in words)


def _camel(words: list[str]) -> str:
    return words[0] + "".join(word[:1].upper() + word[1:] for word in words[1:])


_MANNERS: Sequence[Callable[[list[str]], str]] = (
    "_".join,
    " ".join,
    "-".join,
    ".".join,
    _title,
    _camel,
    lambda words: "_".join(words).upper(),
)
"""Ways to write a name of several words."""


def rename_labels(labels: LabelSet, rng: random.Random) -> tuple[LabelSet, Mapping[str, str]]:
    """The labels under other names, with the descriptions they had, and old name → new name."""
    manner, swap = rng.choice(_MANNERS), rng.random() < _REORDERED
    taken = {label_key(name): name for name in labels.names}
    new: dict[str, str] = {}
    for name in labels.names:
        written = _write_name(name, manner, swap, rng)
        if taken.get(label_key(written), name) != name:  # another's name
            written = name
        taken[label_key(written)] = name
        new[name] = written
    return LabelSet(
        labels.field, {new[name]: text for name, text in labels.descriptions.items()}
    ), new


def _write_name(
    name: str, manner: Callable[[list[str]], str], swap: bool, rng: random.Random
) -> str:
    if rng.random() < _PART_RENAMED and (whole := label_synonyms().get(name.lower())):
        return manner(rng.choice(whole).split())
    parts = [part for part in _PARTS.split(name) if part]
    if swap and len(parts) == 2:
        parts.reverse()
    words = [word for part in parts for word in _other(part, rng).split()]
    return manner(words) if words else name


def _other(part: str, rng: random.Random) -> str:
    others = label_synonyms().get(part.lower())
    return rng.choice(others) if others and rng.random() < _PART_RENAMED else part


@cache
def label_synonyms() -> Mapping[str, tuple[str, ...]]:
    """Name, or part of one → those that may stand for it, from `label_synonyms.txt`: the first of
    each line is known.

    Raises:
        TaskError: If a name begins two lines.
    """
    found: dict[str, tuple[str, ...]] = {}
    for line in (
        (files("speechverse.tasks") / "label_synonyms.txt").read_text(encoding="utf-8").splitlines()
    ):
        name, *others = line.split(", ")
        if name in found:
            raise TaskError(f"label_synonyms.txt: '{name}' begins two lines; join them")
        found[name] = tuple(others)
    return found
