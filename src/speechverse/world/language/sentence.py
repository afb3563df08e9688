"""Sentences of the spoken world, drawn from a seed and kept apart between the parts of a corpus."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from typing import Any, Literal

from speechverse.errors import UserError, unknown_name
from speechverse.seeding import hash_seed
from speechverse.world.language import grammar
from speechverse.world.language.strata import (
    RULE_STRATA,
    grow_sentence,
    random_words,
    stratum_words,
)

Part = Literal["train", "dev", "test"]

STRATA = ("grammar", *RULE_STRATA, "random")
"""What any part of a corpus can be made of."""

HELD_OUT_STRATA = ("unseen_intents", "unseen_domain", "unseen_names")
"""Requests of which training holds no intent, no domain, or not all names: for "test" alone."""

_PART_OF: tuple[Part, ...] = (*("train",) * 16, "dev", *("test",) * 3)
"""Each twentieth of all sentences belongs to one part, whoever draws them."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something to say, with what is known of it."""

    text: str
    stratum: str
    request: grammar.Request | None = None  # outside the grammar None
    own_keywords: tuple[str, ...] = ()  # of a sentence that is no request

    @property
    def keywords(self) -> tuple[str, ...]:
        """Content words in spoken order; each occurs in the text."""
        return self.request.keywords if self.request else self.own_keywords

    @property
    def slots(self) -> tuple[tuple[str, str], ...]:
        """(name, value) of a request in spoken order; each value occurs in the text."""
        return self.request.slots if self.request else ()

    @property
    def rare_words(self) -> tuple[str, ...]:
        """Words that come from open lists of names, in spoken order."""
        rare = grammar.load().rare_words
        return tuple(dict.fromkeys(word for word in self.text.split() if word in rare))

    @property
    def labels(self) -> dict[str, Any]:
        """The label fields of an utterance that says this."""
        labels: dict[str, Any] = {"stratum": self.stratum}
        if self.keywords:
            labels["keywords"] = list(self.keywords)
        if self.rare_words:
            labels["rare_words"] = list(self.rare_words)
        if self.request:
            labels |= {
                "intent": self.request.intent.name,
                "domain": self.request.intent.domain,
                "slots": [list(slot) for slot in self.slots],
                "translations": self.request.translations,
            }
        return labels


def draw_sentence(part: Part, rng: random.Random, stratum: str = "grammar") -> Sentence:
    """Draws a sentence that belongs to a part: no sentence is ever drawn for two of them.

    Raises:
        UserError: An unknown stratum, or one that is held out from this part.
    """
    check_stratum(stratum, part)
    may_be_held_back = part == "test" and stratum != "grammar"
    while True:
        sentence = _draw(part, rng, stratum)
        if part_of(sentence.text) == part and (
            may_be_held_back or not grammar.load().says_held_back(sentence.text)
        ):
            return sentence


def _draw(part: Part, rng: random.Random, stratum: str) -> Sentence:
    world = grammar.load()
    if stratum in RULE_STRATA:
        held_back = frozenset[str]() if part == "test" else world.names_held_back
        text, keywords = grow_sentence(stratum, rng, held_back)
        return Sentence(text, stratum, own_keywords=keywords)
    if stratum == "random":
        text, keywords = random_words(rng, words())
        return Sentence(text, stratum, own_keywords=keywords)
    pools: dict[str, tuple[tuple[grammar.Intent, ...], grammar.Names]] = {
        "grammar": (world.seen_intents, "seen"),
        "unseen_intents": (world.unseen_intents, "all"),
        "unseen_domain": (world.unseen_domain, "all"),
        "unseen_names": (world.naming_intents, "held_back"),
    }
    intents, names = pools[stratum]
    request = world.draw(rng.choice(intents), rng, names)
    return Sentence(request.say(), stratum, request)


def check_stratum(stratum: str, part: Part) -> None:
    """Raises UserError where a part cannot hold sentences of a stratum."""
    if stratum not in (*STRATA, *HELD_OUT_STRATA):
        raise UserError(unknown_name("stratum", stratum, (*STRATA, *HELD_OUT_STRATA)))
    if stratum in HELD_OUT_STRATA and part != "test":
        raise UserError(
            f"stratum '{stratum}' is held out: only the part 'test' can hold it, not '{part}'"
        )


def part_of(text: str) -> Part:
    """The part of a corpus that a sentence belongs to, by its words alone."""
    return _PART_OF[hash_seed(0, "part", text) % len(_PART_OF)]


def inventory(held_out: bool = False) -> dict[str, dict[str, str]]:
    """The labels that the language brings: field → name → description; with `held_out` all."""
    world = grammar.load()
    intents = world.intents if held_out else world.seen_intents
    used = set(grammar.slots_of(intents))
    domains = [d for d in world.domains.values() if held_out or not d.held_out]
    return {
        "intent": {intent.name: intent.description for intent in intents},
        "domain": {domain.name: domain.description for domain in domains},
        "slots": {name: slot.description for name, slot in world.slots.items() if name in used},
    }


def words() -> tuple[str, ...]:
    """Every English word of the grammar and the other strata but for those held out, in order."""
    return _words(grammar.load())


@functools.cache
def _words(world: grammar.World) -> tuple[str, ...]:
    return tuple(sorted(world.words() | stratum_words(world.names_held_back)))
