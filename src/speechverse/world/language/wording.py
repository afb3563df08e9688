"""The wordings of templates, parsed once: saying a request is filling gaps, in whichever language
is wanted.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from speechverse.world.language.loading import CHOICE, SLOT, Triple

_TOKEN = re.compile(r"\{(?P<slot>\w+)\}|\*(?P<keyword>[^*]+)\*")


class Value(NamedTuple):
    """One value of a slot: how it is said in each language, and which part of the English is the
    value itself.
    """

    said: Triple
    value: str


class Mark(NamedTuple):
    """A place of an English line that its parse tells of: a slot, or else a keyword."""

    name: str
    is_slot: bool


@dataclass(frozen=True, slots=True)
class Wording:
    """A template with one wording chosen of each group of choices."""

    slots: tuple[str, ...]  # their names, in order of the English line
    marks: tuple[Mark, ...]  # slots and keywords of the English line, in order
    # For each language texts and names of slots by turns, beginning with a text.
    lines: tuple[tuple[str, ...], ...]

    def say(self, language: int, values: Mapping[str, Value]) -> str:
        """The line in a language, counted as in `Triple`, with a value in each slot."""
        line = list(self.lines[language])
        for gap in range(1, len(line), 2):
            line[gap] = values[line[gap]].said[language]
        return "".join(line)


def choose_wording(template: Triple, rng: random.Random) -> Wording:
    """Takes one wording of each group of choices, the same in all languages."""
    return _wording(template, tuple([rng.randrange(count) for count in _counts(template)]))


@functools.cache
def _counts(template: Triple) -> tuple[int, ...]:
    """How many choices each group has."""
    return tuple(len(group.split("|")) for group in CHOICE.findall(template[0]))


@functools.cache
def _wording(template: Triple, picks: tuple[int, ...]) -> Wording:
    english, *others = (_pick(line, picks) for line in template)
    found = list(_TOKEN.finditer(english))
    marks = tuple(
        Mark(match["slot"] or match["keyword"], match["slot"] is not None) for match in found
    )
    plain = _TOKEN.sub(lambda match: match["keyword"] or match[0], english)
    return Wording(
        tuple(SLOT.findall(english)),
        marks,
        tuple(tuple(SLOT.split(line)) for line in (plain, *others)),
    )


def _pick(line: str, picks: Sequence[int]) -> str:
    remaining = iter(picks)
    return CHOICE.sub(lambda match: match[1].split("|")[next(remaining)], line)
