"""What a corpus holds, from its manifests alone: sizes, words, and what its splits share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from speechverse.evaluation.folds import speakers_of
from speechverse.types import Seconds, Utterance

TRAIN = "train"
_MAX_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """The sizes of one split."""

    clips: int
    hours: float  # of audio
    speakers: int  # how many are named
    sentences: int  # distinct texts
    words: int  # distinct words
    # Of them, those that do not occur in train; None for train itself or without one.
    new_words: int | None
    shortest: Seconds
    median: Seconds
    longest: Seconds


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two splits share that should be apart."""

    what: str  # "sentences" or "speakers"
    splits: tuple[str, str]  # the two
    shared: int  # how many; 0 is as it should be
    examples: tuple[str, ...]  # A few of them


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


def _sentences(utterance: Utterance) -> tuple[str, ...]:
    sentence = " ".join(words_of(utterance.text or ""))
    return (sentence,) if sentence else ()


def _words(utterance: Utterance) -> Iterable[str]:
    return words_of(utterance.text or "")


def _distinct(
    utterances: Iterable[Utterance], parts: Callable[[Utterance], Iterable[str]]
) -> set[str]:
    return {part for utterance in utterances for part in parts(utterance)}


def split_facts(splits: Mapping[str, Sequence[Utterance]]) -> dict[str, SplitFacts]:
    """The sizes of every split."""
    known = _distinct(splits.get(TRAIN, ()), _words)
    return {
        split: _facts(utterances, known if split != TRAIN else set())
        for split, utterances in splits.items()
    }


def _facts(utterances: Sequence[Utterance], known: set[str]) -> SplitFacts:
    words = _distinct(utterances, _words)
    seconds = sorted(utterance.duration for utterance in utterances)
    return SplitFacts(
        clips=len(utterances),
        hours=round(sum(seconds) / 3600, 4),
        speakers=len(_distinct(utterances, speakers_of)),
        sentences=len(_distinct(utterances, _sentences)),
        words=len(words),
        new_words=len(words - known) if known else None,
        shortest=round(seconds[0], 3),
        median=round(seconds[len(seconds) // 2], 3),
        longest=round(seconds[-1], 3),
    )


def overlaps(splits: Mapping[str, Sequence[Utterance]]) -> list[Overlap]:
    """Sentences and speakers that two splits share, for every two splits; one without texts or
    speakers has none.
    """
    found = []
    for what, parts in (("sentences", _sentences), ("speakers", speakers_of)):
        sets = {split: _distinct(utterances, parts) for split, utterances in splits.items()}
        for one, other in combinations(splits, 2):
            if sets[one] and sets[other]:
                shared = sorted(sets[one] & sets[other])
                found.append(
                    Overlap(what, (one, other), len(shared), tuple(shared[:_MAX_EXAMPLES]))
                )
    return found
