"""How far a label gives itself away by the words that its name and description share with requests."""

from __future__ import annotations

import functools
import re
from typing import Literal

from speechverse.seeding import rng_for
from speechverse.stop_words import STOP_WORDS
from speechverse.world.language import grammar

NUM_LABELS = 8
"""Labels to choose from."""


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
    return frozenset(
        fold(word) for word in re.findall(r"[a-z']+", text.lower()) if word not in STOP_WORDS
    )


def word_overlap(
    intents: Literal["held_out", "seen"],
    descriptions: bool = False,
    draws: int = 2000,
    seed: int = 1,
) -> float:
    """Accuracy of the rule "the label that shares most words with the sentence" among `NUM_LABELS`
    labels.

    Of a draw, the sentence and the wrong labels come from the same intents, seen or held out; where
    these are too few, others fill up; those of held-out domains are held out too. With
    `descriptions`, these are read beside the names. The share of each draw that ties for the most
    words is split evenly among them.
    """
    world = grammar.load()
    pool = {"seen": world.seen_intents, "held_out": (*world.unseen_intents, *world.unseen_domain)}[
        intents
    ]
    rest = [intent for intent in world.intents if intent not in pool]
    texts = {
        i.name: f"{i.name.replace('_', ' ')} {i.description * descriptions}" for i in world.intents
    }
    right = 0.0
    for index in range(draws):
        rng = rng_for(seed, "overlap", intents, index)
        intent = rng.choice(pool)
        said = content_words(world.draw(intent, rng, "seen" if intents == "seen" else "all").say())
        others = [other for other in pool if other is not intent]
        wrong = rng.sample(others, min(NUM_LABELS - 1, len(others)))
        wrong += rng.sample(rest, NUM_LABELS - 1 - len(wrong))
        shared = [len(said & content_words(texts[label.name])) for label in (intent, *wrong)]
        right += (shared[0] == max(shared)) / shared.count(max(shared))
    return right / draws
