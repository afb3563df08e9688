"""Sentences beside the requests: everyday talk, rare names, numbers and random words, each a
stratum reported apart.

The first three grow from rules in `data/strata.yaml`: `{name}` stands for one of that rule's
choices, `{name?}` for one or nothing, and the words that the listed keyword rules give are the
sentence's keywords. The rules listed as `open` are open lists of names, some of which are held back
for testing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.resources import files
from types import MappingProxyType
from typing import Any, NamedTuple

from speechverse.world.language.loading import STRATA_FILE, read_yaml

TextAndKeywords = tuple[str, tuple[str, ...]]
"""What every maker gives: lower-case words, and the content words among them in spoken order."""

MAX_KEYWORDS = 4

_LENGTHS = range(3, 15)  # words
_OPTIONAL_SHARE = 0.5
_REFERENCE = re.compile(r"\{(\w+)(\?)?\}")
_A_BEFORE_VOWEL = re.compile(r"\ba(?= [aeiou])")


@dataclass(frozen=True, slots=True)
class _Rules:
    choices: Mapping[str, Sequence[str]]
    keywords: Mapping[str, frozenset[str]]
    open: frozenset[str]
    articles: bool


@cache
def _all_rules() -> Mapping[str, _Rules]:
    entries = read_yaml(files(__package__).joinpath("data", STRATA_FILE))
    return {name: _read(entry) for name, entry in entries.items()}


def _read(entry: Mapping[str, Any]) -> _Rules:
    choices = {
        name: some.split() if isinstance(some, str) else some
        for name, some in entry["rules"].items()
    }
    keywords = {name: frozenset(choices[name]) for name in entry["keywords"]}
    return _Rules(choices, keywords, frozenset(entry.get("open", ())), entry["articles"])


@cache
def _rules_without(stratum: str, names: frozenset[str]) -> _Rules:
    rules = _all_rules()[stratum]
    kept = {
        name: [choice for choice in rules.choices[name] if choice not in names]
        for name in rules.open
    }
    return replace(rules, choices={**rules.choices, **kept})


class _Reference(NamedTuple):
    """A place where a choice refers to a rule, and the text that comes after it."""

    rule: str
    is_optional: bool
    text: str


@cache
def _parse(choice: str) -> tuple[str, tuple[_Reference, ...]]:
    """A choice as the text before its references, and these."""
    text, *rest = _REFERENCE.split(choice)
    references = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    return text, tuple(
        _Reference(rule, bool(optional), text) for rule, optional, text in references
    )


class _Growth:
    """One sentence as it grows. No keyword comes twice, so nothing is compared with itself."""

    def __init__(self, rules: _Rules, rng: random.Random) -> None:
        self.rules, self.rng = rules, rng
        self.taken: set[str] = set()
        self.keywords: list[str] = []

    def grow(self, rule: str) -> str:
        choice = self._choose(rule)
        if rule in self.rules.keywords:
            self.keywords.append(choice)
        said, references = _parse(choice)
        for reference in references:
            if not reference.is_optional or self.rng.random() < _OPTIONAL_SHARE:
                said += self.grow(reference.rule)
            said += reference.text
        return said

    def _choose(self, rule: str) -> str:
        choices = self.rules.choices[rule]
        if rule not in self.rules.keywords:
            return self.rng.choice(choices)
        if not self.taken.isdisjoint(self.rules.keywords[rule]):
            choices = [word for word in choices if word not in self.taken]
        choice = self.rng.choice(choices)
        self.taken.add(choice)
        return choice


def _make(
    stratum: str, rng: random.Random, without: frozenset[str] = frozenset()
) -> TextAndKeywords:
    rules = _rules_without(stratum, without)
    while True:
        growth = _Growth(rules, rng)
        said = growth.grow("sentence").split()
        if len(said) in _LENGTHS:
            break
    text = " ".join(said)
    if rules.articles:
        text = _A_BEFORE_VOWEL.sub("an", text)
    return text, tuple(growth.keywords[:MAX_KEYWORDS])


STRATUM_MAKERS: Mapping[str, Callable[[random.Random, frozenset[str]], TextAndKeywords]] = (
    MappingProxyType({name: partial(_make, name) for name in ("free", "names", "numbers")})
)
"""Stratum → maker of one sentence without the names given; numbers have no keywords."""


def random_words(rng: random.Random, words: Sequence[str]) -> TextAndKeywords:
    """3 to 10 words with no sense between them, and the longest of them in spoken order as
    keywords.
    """
    drawn = rng.sample(words, rng.randint(3, 10))
    longest = sorted(drawn, key=len, reverse=True)[: min(MAX_KEYWORDS, len(drawn) // 2)]
    return " ".join(drawn), tuple(word for word in drawn if word in longest)


@cache
def open_names() -> frozenset[str]:
    """Every name of the open lists."""
    return frozenset(
        name
        for rules in _all_rules().values()
        for rule in rules.open
        for name in rules.choices[rule]
    )


@cache
def plain_lines() -> tuple[str, ...]:
    """What the rules can say beside the open lists: one line a choice, without what the choice
    refers to.
    """
    lines = [
        _REFERENCE.sub(" , ", choice)
        for rules in _all_rules().values()
        for name, choices in rules.choices.items()
        if name not in rules.open
        for choice in choices
    ]
    return (*lines, "an")


def stratum_words(without: frozenset[str]) -> set[str]:
    """Every word that the rules can say without the names given."""
    return {
        word
        for line in (*plain_lines(), *(open_names() - without))
        for word in line.split()
        if word != ","
    }
