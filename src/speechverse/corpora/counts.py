"""What a corpus holds, from its manifests alone: sizes, labels, and what its splits share."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np

from speechverse.errors import needs_extra
from speechverse.types import Seconds, Utterance

TRAIN = "train"
MAX_CLASSES = 40
"""Fields with more classes are counted but not played class by class."""

_MAX_COUNTED = 1000  # classes whose counts are kept: of open lists (keywords) there are thousands
_MAX_EXAMPLES = 5
_NUM_BINS = 6
_FIRST = ("emotion", "sentiment", "accent", "num_speakers", "is_speech", "stratum", "sound")

Splits = Mapping[str, Sequence[Utterance]]


@dataclass(frozen=True, slots=True)
class SplitSizes:
    """How much one split holds; sentences and words are counted once each."""

    clips: int
    hours: float
    speakers: int  # that are named
    sentences: int
    words: int
    new_words: int | None  # that do not occur in train; None for train itself or without one
    shortest: Seconds
    median: Seconds
    longest: Seconds


@dataclass(frozen=True, slots=True)
class Overlap:
    """What two splits share that should be apart."""

    what: str  # "sentences" or "speakers"
    splits: tuple[str, str]
    shared: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One label field and how its values become classes."""

    name: str
    kind: Literal["class", "number", "names"]  # a name a clip, a measured number, several names
    edges: tuple[float, ...] = ()  # of a number's bins, ascending

    def classes(self, utterance: Utterance) -> list[str]:
        """The classes that an utterance belongs to; none where the label is absent."""
        value = utterance.labels.get(self.name)
        if value is None:
            return []
        if self.kind == "number":
            upper = min(bisect_right(self.edges, value), len(self.edges) - 1)
            return [f"{self.edges[upper - 1]:.12g} to {self.edges[upper]:.12g}"]
        return list(dict.fromkeys(_names(value))) if self.kind == "names" else [as_text(value)]


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """How often each class of a field occurs."""

    name: str
    kind: str
    num_classes: int
    counts: Mapping[str, Mapping[str, int]]  # class → split → clips, the most frequent first
    unlabelled: Mapping[str, int]  # split → clips without this label
    closed: bool  # few classes, each with clips enough: each can be listened to


def common_faults(
    unreadable: Mapping[str, str], overlaps: Iterable[Overlap], allowed: Container[str] = ()
) -> list[str]:
    """What is wrong with a corpus whoever looks at it, a sentence each.

    Args:
        unreadable: Clips that cannot be read: id → reason.
        allowed: What splits may share.
    """
    told = [
        f"clips that cannot be read: {len(unreadable)}, such as “{clip}”: {reason}"
        for clip, reason in list(unreadable.items())[:1]
    ]
    return told + [
        f"{one.what} in both {' and '.join(one.splits)}: {one.shared}, such as"
        f" “{one.examples[0]}”; they should be apart"
        for one in overlaps
        if one.shared and one.what not in allowed
    ]


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation."""
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


def as_text(value: Any) -> str:
    """A label's value as the page shows it."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def measure_splits(splits: Splits) -> dict[str, SplitSizes]:
    """The sizes of every split."""
    known = _distinct(splits.get(TRAIN, ()), _words)
    return {
        split: _measure(utterances, known if split != TRAIN else set())
        for split, utterances in splits.items()
    }


def _measure(utterances: Sequence[Utterance], known: set[str]) -> SplitSizes:
    words = _distinct(utterances, _words)
    seconds = sorted(utterance.duration for utterance in utterances)
    return SplitSizes(
        clips=len(utterances),
        hours=round(sum(seconds) / 3600, 4),
        speakers=len(_distinct(utterances, lambda clip: clip.speakers)),
        sentences=len(_distinct(utterances, _sentence)),
        words=len(words),
        new_words=len(words - known) if known else None,
        shortest=round(seconds[0], 3),
        median=round(seconds[len(seconds) // 2], 3),
        longest=round(seconds[-1], 3),
    )


def find_overlaps(splits: Splits) -> list[Overlap]:
    """Sentences and speakers that two splits share, for every two splits that have any."""
    found = []
    for what, values_of in (("sentences", _sentence), ("speakers", lambda clip: clip.speakers)):
        values = {split: _distinct(utterances, values_of) for split, utterances in splits.items()}
        for pair in combinations([split for split in splits if values[split]], 2):
            shared = sorted(values[pair[0]] & values[pair[1]])
            found.append(Overlap(what, pair, len(shared), tuple(shared[:_MAX_EXAMPLES])))
    return found


def _words(utterance: Utterance) -> list[str]:
    return words_of(utterance.text or "")


def _sentence(utterance: Utterance) -> list[str]:
    return [sentence] if (sentence := " ".join(_words(utterance))) else []


def _distinct(
    utterances: Iterable[Utterance], values_of: Callable[[Utterance], Iterable[str]]
) -> set[str]:
    return {value for utterance in utterances for value in values_of(utterance)}


def find_fields(utterances: Iterable[Utterance]) -> list[Field]:
    """Every label field that occurs, those of the voice first; needs matplotlib for round bins."""
    single: dict[str, set[Any]] = {}
    several: set[str] = set()
    for utterance in utterances:
        for name, value in utterance.labels.items():
            if isinstance(value, str | int | float):
                single.setdefault(name, set()).add(value)
            elif value is not None:
                several.add(name)
    fields = [_field(name, values) for name, values in single.items() if name not in several]
    fields += [Field(name, "names") for name in several]
    order = {name: place for place, name in enumerate(_FIRST)}
    return sorted(fields, key=lambda field: (order.get(field.name, len(order)), field.name))


def _field(name: str, values: set[Any]) -> Field:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    is_measured = any(isinstance(v, float) for v in numbers) or len(numbers) > MAX_CLASSES
    if not (is_measured and 1 < len(values) == len(numbers) and np.isfinite(numbers).all()):
        return Field(name, "class")
    return Field(name, "number", _round_edges(min(numbers), max(numbers)))


def _round_edges(low: float, high: float) -> tuple[float, ...]:
    with needs_extra("a corpus card", "eval"):
        from matplotlib.ticker import MaxNLocator
    return tuple(map(float, MaxNLocator(_NUM_BINS, steps=[1, 2, 5, 10]).tick_values(low, high)))


def _names(value: Any) -> list[str]:
    """The names in slots (pairs), in a list of names, or in a mapping by name."""
    if isinstance(value, str) or not isinstance(value, Mapping | Sequence):
        return [as_text(value)]
    return [str(v[0]) if isinstance(v, list | tuple) and v else str(v) for v in value]


def count_field(field: Field, splits: Splits) -> FieldCounts:
    """Counts the classes of a field; bins of numbers stay in their order."""
    by_class: dict[str, Counter[str]] = {}
    unlabelled = dict.fromkeys(splits, 0)
    for split, utterances in splits.items():
        for utterance in utterances:
            classes = field.classes(utterance)
            unlabelled[split] += not classes
            for name in classes:
                by_class.setdefault(name, Counter())[split] += 1
    if field.kind == "number":
        names = sorted(by_class, key=lambda name: float(name.split()[0]))
    else:
        names = sorted(by_class, key=lambda name: (-by_class[name].total(), name))
    counts = {n: {split: by_class[n][split] for split in splits} for n in names[:_MAX_COUNTED]}
    has_clips = sum(map(len, splits.values())) >= 2 * len(names)
    closed = field.kind != "names" and len(names) <= MAX_CLASSES and has_clips
    return FieldCounts(field.name, field.kind, len(names), counts, unlabelled, closed)
