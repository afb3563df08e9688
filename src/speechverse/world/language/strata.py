"""Sentences beside the requests: everyday talk, rare names, numbers and random words.

The first three grow from rules in `data/strata.yaml`: `{name}` stands for one of that rule's
choices, `{name?}` for one or nothing, and the words that the listed keyword rules give are the
sentence's keywords. The rules listed as `open` are open lists of names, some of which are held back
for testing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from speechverse.world.language.loading import STRATA_FILE
from speechverse.world.tables import read_yaml

RULE_STRATA = ("free", "names", "numbers")
MAX_KEYWORDS = 4

_LENGTHS = range(3, 15)  # words
_OPTIONAL_SHARE = 0.5
_REFERENCE = re.compile(r"\{(\w+)(\?)?\}")
_A_BEFORE_VOWEL = re.compile(r"\ba(?= [aeiou])")


@dataclass(frozen=True)
class _Rules:
    choices: Mapping[str, Sequence[str]]
    keywords: frozenset[str]  # rules that give keywords
    open: frozenset[str]  # of these, rules that are open lists
    articles: bool


@cache
def _all_rules() -> Mapping[str, _Rules]:
    rules = {}
    for name, entry in read_yaml(files(__package__).joinpath("data", STRATA_FILE)).items():
        choices = {
            rule: some.split() if isinstance(some, str) else some
            for rule, some in entry["rules"].items()
        }
        keywords, open_rules = frozenset(entry["keywords"]), frozenset(entry.get("open", ()))
        rules[name] = _Rules(choices, keywords, open_rules, entry["articles"])
    return rules


@dataclass
class _Growth:
    """One sentence as it grows. No keyword comes twice, so nothing is compared with itself."""

    rules: _Rules
    rng: random.Random
    without: Collection[str]
    keywords: list[str] = field(default_factory=list)

    def grow(self, rule: str) -> str:
        choices = self.rules.choices[rule]
        if rule not in self.rules.keywords:
            return _REFERENCE.sub(self._expand, self.rng.choice(choices))
        taken = {*self.keywords, *self.without} if rule in self.rules.open else self.keywords
        self.keywords.append(self.rng.choice([word for word in choices if word not in taken]))
        return self.keywords[-1]

    def _expand(self, reference: re.Match[str]) -> str:
        rule, is_optional = reference.groups()
        return "" if is_optional and self.rng.random() >= _OPTIONAL_SHARE else self.grow(rule)


def grow_sentence(
    stratum: str, rng: random.Random, without: Collection[str] = ()
) -> tuple[str, tuple[str, ...]]:
    """A sentence of one of `RULE_STRATA`, without the names given, and its keywords in order."""
    rules = _all_rules()[stratum]
    while True:
        growth = _Growth(rules, rng, without)
        words = growth.grow("sentence").split()
        if len(words) in _LENGTHS:
            break
    text = " ".join(words)
    text = _A_BEFORE_VOWEL.sub("an", text) if rules.articles else text
    return text, tuple(growth.keywords[:MAX_KEYWORDS])


def random_words(rng: random.Random, words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """3 to 10 words with no sense between them, and as keywords the longest of them in order."""
    drawn = rng.sample(words, rng.randint(3, 10))
    longest = sorted(drawn, key=len, reverse=True)[: min(MAX_KEYWORDS, len(drawn) // 2)]
    return " ".join(drawn), tuple(word for word in drawn if word in longest)


@cache
def open_names() -> frozenset[str]:
    """Every name of the open lists."""
    rules = _all_rules().values()
    return frozenset(name for some in rules for rule in some.open for name in some.choices[rule])


@cache
def plain_lines() -> tuple[str, ...]:
    """What the rules can say beside the open lists and what their choices refer to, and "an"."""
    lines = [
        _REFERENCE.sub(" , ", choice)
        for rules in _all_rules().values()
        for name, choices in rules.choices.items()
        if name not in rules.open
        for choice in choices
    ]
    return (*lines, "an")


def stratum_words(without: Collection[str]) -> set[str]:
    """Every word that the rules can say without the names given."""
    lines = (*plain_lines(), *(open_names() - set(without)))
    return {word for line in lines for word in line.split()} - {","}
