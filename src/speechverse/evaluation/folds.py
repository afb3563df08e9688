"""Folds by speaker, for what has no training split of its own."""

from __future__ import annotations

from collections.abc import Sequence

from speechverse.seeding import hash_seed
from speechverse.types import Utterance

NUM_FOLDS = 5
"""Groups that the speakers are dealt into."""


def speakers_of(utterance: Utterance) -> tuple[str, ...]:
    """Who speaks; `anna+ben` are two."""
    return tuple(utterance.speaker.split("+")) if utterance.speaker else ()


def speaker_folds(utterances: Sequence[Utterance], seed: int) -> list[tuple[list[int], list[int]]]:
    """Several times the rows to fit on and the rows to test; each row is tested once.

    The speakers are dealt into groups. Clips whose voices are of the same groups are tested together, and fitted on is
    every clip without a voice of these groups: nobody who is tested, not even beside somebody else, is fitted on. A
    clip without a speaker counts as a speaker of its own.
    """
    groups = [
        frozenset(hash_seed(seed, "fold", voice) % NUM_FOLDS for voice in speakers_of(utterance) or (utterance.id,))
        for utterance in utterances
    ]
    return [
        (
            [row for row, own in enumerate(groups) if own.isdisjoint(tested)],
            [row for row, own in enumerate(groups) if own == tested],
        )
        for tested in dict.fromkeys(groups)
    ]
