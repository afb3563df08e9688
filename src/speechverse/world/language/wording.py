"""The wordings of templates, parsed once: saying a request is filling gaps in any language."""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from speechverse.world.language.loading import CHOICE, SLOT, Triple

_TOKEN = re.compile(r"\{(?P<slot>\w+)\}|\*(?P<keyword>[^*]+)\*")


class Value(NamedTuple):
    """One value of a slot."""

    said: Triple
    value: str  # the part of the English that is the value itself
    is_keyword: bool = True


class Mark(NamedTuple):
    """A place of an English line that its parse tells of: a slot, or else a keyword."""

    name: str
    is_slot: bool


@dataclass(frozen=True, slots=True)
class Wording:
    """A template with one wording chosen of each group of choices."""

    slots: tuple[str, ...]  # their names, in order of the English line
    marks: tuple[Mark, ...]  # of the English line, in order
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
    counts = [group.count("|") + 1 for group in CHOICE.findall(template[0])]
    return _wording(template, tuple([rng.randrange(count) for count in counts]))


@functools.cache
def _wording(template: Triple, picks: tuple[int, ...]) -> Wording:
    english, *others = (_pick(line, picks) for line in template)
    marks = [
        Mark(match["slot"] or match["keyword"], match["slot"] is not None)
        for match in _TOKEN.finditer(english)
    ]
    plain = _TOKEN.sub(lambda match: match["keyword"] or match[0], english)
    lines = tuple(tuple(SLOT.split(line)) for line in (plain, *others))
    return Wording(tuple(SLOT.findall(english)), tuple(marks), lines)


def _pick(line: str, picks: tuple[int, ...]) -> str:
    remaining = iter(picks)
    return CHOICE.sub(lambda match: match[1].split("|")[next(remaining)], line)
