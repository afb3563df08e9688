"""How far a label's name or description gives itself away by the words it shares with what is said."""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Sequence
from typing import Literal, TypeVar

from speechverse.errors import UserError
from speechverse.seeding import rng_for
from speechverse.stop_words import STOP_WORDS
from speechverse.world.language import grammar

_NUM_LABELS = 8
_T = TypeVar("_T")


@functools.cache
def fold(word: str) -> str:
    """Strips what tells "lamps" from "lamp", "waking" and "waked" from "wake"."""
    word = word.removesuffix("'s")
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending)
            if ending in ("ing", "ed") and word[-1] == word[-2] and word[-1] not in "ls":
                word = word[:-1]
            break
    return word.removesuffix("e").removesuffix("i") if not word.endswith("y") else word[:-1]


@functools.lru_cache(maxsize=20_000)
def content_words(text: str) -> frozenset[str]:
    """The folded words of a text that are not stop words."""
    return frozenset(fold(word) for word in re.findall(r"[a-z']+", text.lower()) if word not in STOP_WORDS)


def label_text(name: str, description: str = "") -> str:
    """What a label says, as plain text: the words of its name, and its description where there is one."""
    return f"{name.replace('_', ' ')} {description}".strip()


def shared_words(said: str, texts: Sequence[str]) -> list[float]:
    """How many content words of what is said each text has too."""
    words = content_words(said)
    return [float(len(words & content_words(text))) for text in texts]


def draw_wrong(rng: random.Random, alike: Sequence[_T], rest: Sequence[_T], num: int) -> list[_T]:
    """Wrong labels to stand beside a right one: `num` of `alike`, filled up from `rest` where these are too few."""
    wrong = rng.sample(alike, min(num, len(alike)))
    return wrong + rng.sample(rest, num - len(wrong))


def credit(scores: Sequence[float], right: int) -> float:
    """What choosing the best score earns, on average, where ties are broken by lot: 1 over how many tie, or 0."""
    return (scores[right] == max(scores)) / list(scores).count(max(scores))


def word_overlap(
    intents: Literal["held_out", "seen"], descriptions: bool = False, draws: int = 2000, seed: int = 1
) -> float:
    """Accuracy of the rule "the label that shares most words with the sentence" among 8 labels.

    Of a draw, the sentence and the seven wrong labels come from the same intents, seen or held out; where these are
    fewer than eight, others fill up. The share of each draw that ties for the most words is split evenly among them.

    Args:
        intents: "held_out" (with those of held-out domains) or "seen".
        descriptions: Whether the labels' descriptions are read beside their names.
        draws: Sentences drawn.
        seed: Of the draws.

    Returns:
        0 to 1; chance is .125.

    Raises:
        UserError: There are no such intents, or fewer than eight in all.
    """
    world = grammar.load()
    pools = {"seen": world.seen_intents, "held_out": (*world.unseen_intents, *world.unseen_domain)}
    pool = pools[intents]
    rest = [intent for intent in world.intents if intent not in pool]
    if not pool or len(world.intents) < _NUM_LABELS:
        raise UserError(f"word overlap needs {intents} intents, and {_NUM_LABELS} in all: mark or write some")
    texts = {intent.name: label_text(intent.name, intent.description * descriptions) for intent in world.intents}
    right = 0.0
    for index in range(draws):
        rng = rng_for(seed, "overlap", intents, index)
        intent = rng.choice(pool)
        said = world.draw(intent, rng, "seen" if intents == "seen" else "all").say()
        others = [other for other in pool if other is not intent]
        listed = (intent, *draw_wrong(rng, others, rest, _NUM_LABELS - 1))
        right += credit(shared_words(said, [texts[label.name] for label in listed]), 0)
    return right / draws
