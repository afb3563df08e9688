"""How much of the spoken world's intents can be guessed from words that a sentence shares with their names."""

from __future__ import annotations

import importlib
import math

from speechverse.data import Corpus
from speechverse.evaluation.corpus_card.ceilings import Ceiling

NUM_CHOICES = 8
DRAWS = 2000
_LIMITS = {False: 0.35, True: 0.55}
_Z = 1.96


def is_spoken_world(corpus: Corpus) -> bool:
    """Whether the corpus speaks the spoken world's own sentences: all its intents are known there."""
    from speechverse.synth.language import inventory

    intents = corpus.labels.get("intent")
    return bool(intents and intents.descriptions) and set(intents.descriptions) <= set(inventory()["intent"])


def wording_ceilings(corpus: Corpus, seed: int) -> tuple[list[Ceiling], list[str]]:
    """Word overlap of sentences with label names and descriptions, for a corpus of the spoken world.

    Returns:
        The ceilings, and why they are missing.
    """
    if not is_spoken_world(corpus):
        return [], []
    try:
        word_overlap = importlib.import_module("speechverse.synth.language.overlap").word_overlap
    except ModuleNotFoundError:
        return [], ["word overlap of intents is not measured: this version's language has no measure of it"]
    ceilings = []
    for intents in ("held_out", "seen"):
        for descriptions, limit in _LIMITS.items():
            value = float(word_overlap(intents=intents, descriptions=descriptions, draws=DRAWS, seed=seed))
            low, high = _wilson(value, DRAWS)
            cue = "words shared with name" + (" and description" if descriptions else "")
            how = f"drawn sentences of {intents.replace('_', '-')} intents, {NUM_CHOICES} to choose from"
            label = f"intent ({intents.replace('_', '-')})"
            ceilings.append(Ceiling(label, cue, "accuracy", value, low, high, 1 / NUM_CHOICES, None, limit, DRAWS, how))
    return ceilings, []


def _wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` independent draws."""
    centre = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)
