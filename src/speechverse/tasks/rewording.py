"""Instructions in words that no template has: now and then another word of like meaning, so that none is relied upon.

Held-out wordings fail one at a time, on a word that training never had. Replacing words by others of like meaning is
the commonest of text augmentations (EDA, arXiv 1901.11196); here the words that may stand for each other are written
for instructions about speech, so that none of them changes what is asked.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from speechverse.errors import TaskError

_LONGEST = 3
"""Words of the longest phrase that others may stand for."""

_LEFT_OUT = 0.1
"""Share of the words to be replaced that are left out instead."""

_RATES = (0.15, 0.7)
"""Between these lies, in a reworded instruction, the share of its replaceable words that are replaced."""

_TOKEN = re.compile(r"\{\w*\}|[\w'-]+|[^\w{]+|.", re.DOTALL)


class _Piece(NamedTuple):
    """Text of a template, and what may stand there instead; where that is nothing, it stays."""

    text: str
    others: tuple[str, ...] = ()


def reworded(template: str, rng: random.Random) -> str:
    """The template with some of its words replaced by others of like meaning; placeholders stay.

    Args:
        template: An instruction's template.
        rng: Source of the draws; as many are made as the template has replaceable words, and one.
    """
    rate = rng.uniform(*_RATES)
    told = [_instead(piece, rng) if piece.others and rng.random() < rate else piece.text for piece in _pieces(template)]
    return re.sub(r" {2,}", " ", "".join(told)).strip()


def _instead(piece: _Piece, rng: random.Random) -> str:
    if rng.random() < _LEFT_OUT:
        return ""
    other = rng.choice(piece.others)
    return other[:1].upper() + other[1:] if piece.text[:1].isupper() else other


@lru_cache(maxsize=8192)  # the same templates are reworded again and again
def _pieces(template: str) -> tuple[_Piece, ...]:
    """The template cut where words may be replaced: the longest phrases first."""
    tokens: list[str] = _TOKEN.findall(template)
    pieces: list[_Piece] = []
    while tokens:
        size = next((size for size in _phrase_sizes(tokens) if _key(tokens[:size]) in synonyms()), 0)
        others = synonyms()[_key(tokens[:size])] if size else ()
        pieces.append(_Piece("".join(tokens[: size or 1]), others))
        del tokens[: size or 1]
    return tuple(pieces)


def _phrase_sizes(tokens: list[str]) -> range:
    """Numbers of tokens that a phrase here may have, spaces between its words counted."""
    longest = min(2 * _LONGEST - 1, len(tokens))
    return range(longest - (longest + 1) % 2, 0, -2)


def _key(tokens: list[str]) -> str:
    return "".join(tokens).lower()


@cache
def synonyms() -> Mapping[str, tuple[str, ...]]:
    """Word or phrase → those that may stand for it, from `synonyms.txt`.

    Raises:
        TaskError: If a word stands there twice: it would not be said which words it may be replaced by.
    """
    groups = (files("speechverse.tasks") / "synonyms.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, tuple[str, ...]] = {}
    for line in groups:
        members = tuple(line.split(", "))
        for member in members:
            if member in found:
                raise TaskError(f"synonyms.txt: '{member}' stands in two groups; leave it in one")
            found[member] = tuple(other for other in members if other != member)
    return found
