"""Which lines are asked which instructions: drawn from a list of many kinds, by a hash of seed and
text.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from speechverse.instructions.known import known_answer
from speechverse.seeding import hash_seed, rng_for
from speechverse.tasks.spoken import written_words
from speechverse.yaml_files import parse_yaml

_SHORTEST = 3
"""Words of a text that is asked anything."""

_SHORTEST_READ = 6
"""Words of a text that the LLM is given: of fewer, a small one talks about other things."""

_ODD = frozenset({"word", "digit", "digits", "number", "spelling"})
"""Strata of lines that are no sentences, nor parts of one."""

_FRAGMENTS = frozenset({"phrase", "gloss"})
"""Strata of lines that are parts of a sentence."""


@dataclass(frozen=True)
class Asked:
    """An instruction about a line.

    Attributes:
        text: What is said.
        kind: Of the instruction.
        instruction: In words.
        answer: The right answer; None where the LLM is to give it.
        system: The system turn behind which the LLM reads the text alone; None where it reads text
            and instruction.
    """

    text: str
    kind: str
    instruction: str
    answer: str | None = None
    system: str | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of instruction: its wordings, and the system turn that has the LLM do it, if one
    helps.
    """

    wordings: tuple[str, ...]
    system: str | None = None


@cache
def kinds() -> Mapping[str, Mapping[str, Kind]]:
    """`read` (by the LLM) and `known` (by a program) → name → kind, from instructions.yaml."""
    listed = parse_yaml(
        (files("speechverse.instructions") / "instructions.yaml").read_text(encoding="utf-8")
    )
    read = {
        name: Kind(tuple(of["wordings"]), of.get("system")) for name, of in listed["read"].items()
    }
    return {
        "read": read,
        "known": {name: Kind(tuple(wordings)) for name, wordings in listed["known"].items()},
    }


def can_be_asked(line: Mapping[str, Any]) -> bool:
    """Whether a line has words enough to be asked anything about."""
    return line.get("stratum") not in _ODD and len(written_words(line["text"])) >= _SHORTEST


def is_readable(line: Mapping[str, Any]) -> bool:
    """Whether a small LLM may be given a line: a whole sentence, and no question, which it would
    rather answer.
    """
    text = line["text"]
    return (
        line.get("stratum") not in _FRAGMENTS
        and "?" not in text
        and len(written_words(text)) >= _SHORTEST_READ
    )


def draw_lines(
    lines: Sequence[Mapping[str, Any]], limit: int | None, seed: int
) -> list[Mapping[str, Any]]:
    """The lines to ask about, in their order; at most so many, chosen by hash: fewer are among
    more.
    """
    some = [line for line in lines if can_be_asked(line)]
    if limit is None or limit >= len(some):
        return some
    places = sorted(
        range(len(some)), key=lambda place: hash_seed(seed, "line", some[place]["text"])
    )
    return [some[place] for place in sorted(places[:limit])]


def draw_instructions(
    line: Mapping[str, Any], count: int, seed: int, read_share: float
) -> list[Asked]:
    """Instructions about one line, each of another kind.

    Args:
        line: Its `text`; a `stratum` that names parts of sentences keeps the LLM from being asked.
        count: How many.
        seed: The same seed and text are asked the same.
        read_share: Probability that an instruction is one the LLM answers, where the text is for
            it.
    """
    text = line["text"]
    rng = rng_for(seed, "instructions", text)
    remaining = {
        who: _shuffle(rng, kinds()[who])
        for who in ("read", "known")
        if who == "known" or is_readable(line)
    }
    drawn: list[Asked] = []
    while len(drawn) < count and any(remaining.values()):
        who = "read" if rng.random() < read_share else "known"
        if not remaining.get(who):
            who = next(other for other in remaining if remaining[other])
        name = remaining[who].pop()
        kind = kinds()[who][name]
        instruction = rng.choice(kind.wordings)
        answer = known_answer(name, text) if who == "known" else None
        if who == "read" or answer is not None:
            drawn.append(Asked(text, name, instruction, answer, kind.system))
    return drawn


def _shuffle(rng: random.Random, names: Mapping[str, Any]) -> list[str]:
    return rng.sample(sorted(names), len(names))
