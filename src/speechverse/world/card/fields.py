"""The labels of a corpus as classes that can be counted, whatever fields it has."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speechverse.types import Utterance

MAX_CLASSES = 40
"""Fields with more classes are counted but not played class by class."""

_MAX_COUNTED = 1000
"""Classes whose counts are kept, the most frequent; of open lists (questions, keywords) there are
thousands.
"""

_ORDER = (
    "emotion", "sentiment", "accent", "num_speakers", "is_speech", "stratum", "sound", "noise",
    "snr_db", "domain", "intent", "slots",
)  # fmt: skip
_NUM_BINS = 6


@dataclass(frozen=True, slots=True)
class Field:
    """One label field and how its values become classes."""

    name: str
    # "class" for one name a clip, "number" for a measured number, "names" for several names a clip.
    kind: str
    # Of a number's bins, ascending; a bin holds its lower edge, the last one also its upper.
    edges: tuple[float, ...] = ()

    def classes(self, utterance: Utterance) -> tuple[str, ...]:
        """The classes that an utterance belongs to; none where the label is absent."""
        value = utterance.labels.get(self.name)
        if value is None:
            return ()
        if self.kind == "names":
            return tuple(dict.fromkeys(_names(value)))
        return (self._bin(float(value)) if self.kind == "number" else shown(value),)

    def _bin(self, value: float) -> str:
        for low, high in zip(self.edges, self.edges[1:], strict=False):
            if value < high or high == self.edges[-1]:
                return f"{low:.12g} to {high:.12g}"
        raise ValueError(f"no bin for {value}")


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """How often each class of a field occurs."""

    name: str
    kind: str  # as of `Field`
    num_classes: int  # how many there are
    # Class → split → clips; of very many classes the most frequent.
    counts: Mapping[str, Mapping[str, int]]
    unlabelled: Mapping[str, int]  # split → clips without this label
    closed: bool  # whether there are few enough classes, each with clips enough, to listen to each


def shown(value: Any) -> str:
    """A label's value as the page shows it."""
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def find_fields(utterances: Iterable[Utterance]) -> list[Field]:
    """Every label field that occurs, those that the tasks know first."""
    values: dict[str, set[Any]] = {}
    several: set[str] = set()
    for utterance in utterances:
        for name, value in utterance.labels.items():
            held = values.setdefault(name, set())
            if isinstance(value, str | int | float):
                held.add(value)
            elif value is not None:
                several.add(name)
    fields = [
        Field(name, "names") if name in several else _field(name, held)
        for name, held in values.items()
        if held or name in several
    ]
    return sorted(
        fields,
        key=lambda field: (_ORDER.index(field.name) if field.name in _ORDER else 99, field.name),
    )


def _field(name: str, values: set[Any]) -> Field:
    numbers = [
        value for value in values if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    measured = any(isinstance(value, float) for value in numbers) or len(numbers) > MAX_CLASSES
    if len(numbers) < len(values) or not measured or not all(map(math.isfinite, numbers)):
        return Field(name, "class")
    return Field(name, "number", _edges(min(numbers), max(numbers)))


def _edges(low: float, high: float) -> tuple[float, ...]:
    """Round edges that cover all from low to high."""
    span = max(high - low, 1e-6)
    power = 10.0
    while power > span / _NUM_BINS:
        power /= 10
    while power * 10 <= span / _NUM_BINS:
        power *= 10
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * _NUM_BINS >= span)
    first = int(low // step)
    edges = [round(first * step, 6)]
    while edges[-1] < high or len(edges) < 2:
        edges.append(round((first + len(edges)) * step, 6))
    return tuple(edges)


def _names(value: Any) -> list[str]:
    """The names in slots (pairs), in a list of names, or in a mapping by name."""
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        return [
            str(item[0]) if isinstance(item, list | tuple) and item else str(item) for item in value
        ]
    return [shown(value)]


def count_field(field: Field, splits: Mapping[str, Sequence[Utterance]]) -> FieldCounts:
    """Counts the classes of a field, the most frequent first; bins and numbers stay
    in their order.
    """
    by_class: dict[str, Counter[str]] = {}
    unlabelled: Counter[str] = Counter()
    for split, utterances in splits.items():
        for utterance in utterances:
            classes = field.classes(utterance)
            unlabelled[split] += not classes
            for name in classes:
                by_class.setdefault(name, Counter())[split] += 1
    names = sorted(by_class, key=lambda name: (-by_class[name].total(), name))
    if field.kind == "number":
        names = sorted(by_class, key=lambda name: float(name.split()[0]))
    closed = (
        field.kind != "names"
        and len(names) <= MAX_CLASSES
        and sum(map(len, splits.values())) >= 2 * len(names)
    )
    counts = {
        name: {split: by_class[name][split] for split in splits} for name in names[:_MAX_COUNTED]
    }
    without = {split: unlabelled[split] for split in splits}
    return FieldCounts(field.name, field.kind, len(names), counts, without, closed)
