"""Sentences of the spoken world, drawn from a seed and kept apart between the parts of a corpus."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from speechverse.errors import UserError, unknown_name
from speechverse.seeding import hash_seed
from speechverse.synth.language import grammar
from speechverse.synth.language.strata import STRATUM_MAKERS, random_words, stratum_words

Part = Literal["train", "dev", "test"]

STRATA = ("grammar", *STRATUM_MAKERS, "random")
_PART_OF: tuple[Part, ...] = (*("train",) * 16, "dev", *("test",) * 3)
"""Each twentieth of all sentences belongs to one part, whoever draws them."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something to say, with what is known of it.

    Attributes:
        text: Lower-case words.
        stratum: Where it comes from, one of `STRATA`.
        intent: What a request wants; None outside the grammar.
        domain: The field of life it belongs to.
        slots: (name, value) in spoken order; each value occurs in the text.
        keywords: Content words in spoken order; each occurs in the text.
        translations: Language code → the same request in that language.
    """

    text: str
    stratum: str
    intent: str | None = None
    domain: str | None = None
    slots: tuple[tuple[str, str], ...] = ()
    keywords: tuple[str, ...] = ()
    translations: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, Any]:
        """The label fields of an utterance that says this."""
        labels: dict[str, Any] = {"stratum": self.stratum}
        if self.keywords:
            labels["keywords"] = list(self.keywords)
        if self.intent is not None:
            labels |= {
                "intent": self.intent,
                "domain": self.domain,
                "slots": [list(slot) for slot in self.slots],
                "translations": dict(self.translations),
            }
        return labels


def draw_sentence(part: Part, rng: random.Random, stratum: str = "grammar") -> Sentence:
    """Draws a sentence that belongs to a part: no sentence is ever drawn for two of them.

    Args:
        part: "train", "dev" or "test".
        rng: Where the draws come from.
        stratum: One of `STRATA`.

    Raises:
        UserError: An unknown stratum.
    """
    if stratum not in STRATA:
        raise UserError(unknown_name("stratum", stratum, STRATA))
    while True:
        sentence = _draw(rng, stratum)
        if part_of(sentence.text) == part:
            return sentence


def part_of(text: str) -> Part:
    """The part of a corpus that a sentence belongs to, by its words alone."""
    return _PART_OF[hash_seed(0, "part", text) % len(_PART_OF)]


def inventory() -> dict[str, dict[str, str]]:
    """The labels that the language brings: field → name → description."""
    world = grammar.load()
    return {
        "intent": {intent.name: intent.description for intent in world.intents},
        "domain": dict(world.domains),
        "slots": {slot.name: slot.description for slot in world.slots.values()},
    }


@functools.cache
def words() -> tuple[str, ...]:
    """Every English word of the grammar and of the other strata, in order of the alphabet."""
    return tuple(sorted(grammar.load().words() | set(stratum_words())))


def _draw(rng: random.Random, stratum: str) -> Sentence:
    if stratum == "grammar":
        return _request(rng)
    text, keywords = random_words(rng, words()) if stratum == "random" else STRATUM_MAKERS[stratum](rng)
    return Sentence(text, stratum, keywords=keywords)


def _request(rng: random.Random) -> Sentence:
    world = grammar.load()
    intent = rng.choice(world.intents)
    spoken = world.speak(intent, rng)
    return Sentence(
        spoken.text, "grammar", intent.name, intent.domain, spoken.slots, spoken.keywords, spoken.translations
    )
