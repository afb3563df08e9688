"""How much of the spoken world's intents can be guessed from words that a sentence shares with their names."""

from __future__ import annotations

import math
from itertools import product
from typing import Literal

from speechverse.data import Corpus
from speechverse.errors import UserError
from speechverse.world.card.ceilings import Ceiling

NUM_CHOICES = 8
DRAWS = 2000
_LIMITS = {False: 0.35, True: 0.55}
_Z = 1.96


def is_spoken_world(corpus: Corpus) -> bool:
    """Whether the corpus speaks the spoken world's own sentences: all its intents are known there."""
    from speechverse.world.language import inventory

    intents = set(corpus.labels["intent"].descriptions) if "intent" in corpus.labels else set()
    return bool(intents) and intents <= set(inventory(held_out=True)["intent"])


def wording_ceilings(corpus: Corpus, seed: int) -> tuple[list[Ceiling], list[str]]:
    """Word overlap of sentences with label names and descriptions, for a corpus of the spoken world.

    Returns:
        The ceilings, and why they are missing.
    """
    if not is_spoken_world(corpus):
        return [], []
    from speechverse.world.language.overlap import word_overlap

    ceilings: list[Ceiling] = []
    notes: list[str] = []
    pools: tuple[Literal["held_out", "seen"], ...] = ("held_out", "seen")
    for intents, descriptions in product(pools, _LIMITS):
        try:
            value = word_overlap(intents, descriptions, DRAWS, seed)
        except UserError as error:
            notes.append(f"word overlap of {_plain(intents)} intents is not measured: {error}")
        else:
            ceilings.append(_ceiling(intents, descriptions, value))
    return ceilings, list(dict.fromkeys(notes))


def _ceiling(intents: str, descriptions: bool, value: float) -> Ceiling:
    low, high = _wilson(value, DRAWS)
    return Ceiling(
        label=f"intent ({_plain(intents)})",
        shortcut="words shared with name" + (" and description" if descriptions else ""),
        measure="accuracy",
        value=value,
        low=low,
        high=high,
        chance=1 / NUM_CHOICES,
        majority=None,
        limit=_LIMITS[descriptions],
        clips=DRAWS,
        how=f"drawn sentences, not clips, of {_plain(intents)} intents, {NUM_CHOICES} to choose from",
    )


def _plain(intents: str) -> str:
    return intents.replace("_", "-")


def _wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` independent draws; wide enough where ties count in parts."""
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)
