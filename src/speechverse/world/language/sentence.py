"""Sentences of the spoken world, drawn from a seed and kept apart between the parts of a corpus."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from speechverse.errors import UserError, unknown_name
from speechverse.seeding import hash_seed
from speechverse.world.language import grammar
from speechverse.world.language.strata import STRATUM_MAKERS, random_words, stratum_words

Part = Literal["train", "dev", "test"]

STRATA = ("grammar", *STRATUM_MAKERS, "random")
"""What any part of a corpus can be made of."""

HELD_OUT_STRATA = ("unseen_intents", "unseen_domain", "unseen_names")
"""Requests of which training holds no intent, no domain, or not all names: for the part "test"
alone.
"""

_PART_OF: tuple[Part, ...] = (*("train",) * 16, "dev", *("test",) * 3)
"""Each twentieth of all sentences belongs to one part, whoever draws them."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """Something to say, with what is known of it."""

    text: str
    stratum: str  # where it comes from, one of `STRATA` or `HELD_OUT_STRATA`
    intent: str | None = None  # what a request wants; None outside the grammar
    domain: str | None = None  # the field of life it belongs to
    # (name, value) in spoken order; each value occurs in the text.
    slots: tuple[tuple[str, str], ...] = ()
    keywords: tuple[str, ...] = ()  # content words in spoken order; each occurs in the text
    # Language code → the same request in that language.
    translations: Mapping[str, str] = field(default_factory=dict)

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
        if self.intent is not None:
            labels |= {
                "intent": self.intent,
                "domain": self.domain,
                "slots": [list(slot) for slot in self.slots],
                "translations": dict(self.translations),
            }
        return labels


class Draft(NamedTuple):
    """A sentence of which only the words are worked out; `finish` gives all of it."""

    text: str
    finish: Callable[[], Sentence]


def draw_sentence(part: Part, rng: random.Random, stratum: str = "grammar") -> Sentence:
    """Draws a sentence that belongs to a part: no sentence is ever drawn for two of them.

    Raises:
        UserError: An unknown stratum, one that is held out from this part, or one that the language
            has nothing for.
    """
    return draft_sentence(part, rng, stratum).finish()


def draft_sentence(part: Part, rng: random.Random, stratum: str = "grammar") -> Draft:
    """Draws as `draw_sentence` does, and works out no more than the text: for those who draw many
    and keep one.
    """
    check_stratum(stratum, part)
    may_be_held_back = part == "test" and stratum != "grammar"
    while True:
        draft = _draft(part, rng, stratum)
        if part_of(draft.text) == part and (
            may_be_held_back or not grammar.load().says_held_back(draft.text)
        ):
            return draft


def check_stratum(stratum: str, part: Part) -> None:
    """Checks that a part can hold sentences of a stratum.

    Raises:
        UserError: It cannot.
    """
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
    return {
        "intent": {intent.name: intent.description for intent in intents},
        "domain": {
            name: domain.description
            for name, domain in world.domains.items()
            if held_out or not domain.held_out
        },
        "slots": {name: slot.description for name, slot in world.slots.items() if name in used},
    }


def words() -> tuple[str, ...]:
    """Every English word of the grammar and of the other strata but for those held out, in order of
    the alphabet.
    """
    return _words(grammar.load())


@functools.cache
def _words(world: grammar.World) -> tuple[str, ...]:
    return tuple(sorted(world.words() | stratum_words(world.names_held_back)))


def _draft(part: Part, rng: random.Random, stratum: str) -> Draft:
    if stratum == "grammar" or stratum in HELD_OUT_STRATA:
        return _request(rng, stratum)
    without: frozenset[str] = frozenset() if part == "test" else grammar.load().names_held_back
    if stratum == "random":
        text, keywords = random_words(rng, words())
    else:
        text, keywords = STRATUM_MAKERS[stratum](rng, without)
    return Draft(text, functools.partial(Sentence, text, stratum, keywords=keywords))


def _request(rng: random.Random, stratum: str) -> Draft:
    world = grammar.load()
    intents, names = _pool(world, stratum)
    if not intents:
        raise UserError(
            f"the language has nothing for the stratum '{stratum}': mark something as held out or"
            " open"
        )
    intent = rng.choice(intents)
    drawn = world.draw(intent, rng, names)
    return Draft(drawn.say(), functools.partial(_finished, world, stratum, intent, drawn))


def _finished(
    world: grammar.World, stratum: str, intent: grammar.Intent, drawn: grammar.Drawn
) -> Sentence:
    slots, keywords = world.parse(drawn)
    return Sentence(
        drawn.say(), stratum, intent.name, intent.domain, slots, keywords, drawn.translations
    )


def _pool(world: grammar.World, stratum: str) -> tuple[tuple[grammar.Intent, ...], grammar.Names]:
    """The intents that a stratum draws from, and the values that they may hold."""
    match stratum:
        case "unseen_intents":
            return world.unseen_intents, "all"
        case "unseen_domain":
            return world.unseen_domain, "all"
        case "unseen_names":
            return world.naming_intents, "held_back"
    return world.seen_intents, "seen"
