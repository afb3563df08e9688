"""Folds by speaker, for what has no training split of its own."""

from __future__ import annotations

from collections.abc import Sequence

from speechverse.seeding import hash_seed
from speechverse.types import Utterance

NUM_FOLDS = 5
"""Groups that the speakers are dealt into."""


def speaker_folds(utterances: Sequence[Utterance], seed: int) -> list[tuple[list[int], list[int]]]:
    """Several times the rows to fit on and the rows to test; each row is tested once.

    The speakers are dealt into groups. Clips whose voices are of the same groups are tested
    together, and fitted on is every clip without any of their voices (none, where one voice is in
    all): nobody who is tested, not even beside somebody else, is fitted on. A clip without a
    speaker counts as a speaker of its own.
    """
    voices = [utterance.speakers or (utterance.id,) for utterance in utterances]
    groups = [
        frozenset(hash_seed(seed, "fold", voice) % NUM_FOLDS for voice in own) for own in voices
    ]
    folds = []
    for group in dict.fromkeys(groups):
        tested = [row for row, own in enumerate(groups) if own == group]
        heard = {voice for row in tested for voice in voices[row]}
        folds.append(([row for row, own in enumerate(voices) if heard.isdisjoint(own)], tested))
    return folds
