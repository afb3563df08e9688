"""The label fields of an utterance: what each may hold, and the inventory of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from speechverse.errors import unknown_name
from speechverse.tasks import LabelSet
from speechverse.types import Utterance

INVENTORY_FIELDS = ("intent", "domain", "slots", "emotion", "sentiment", "accent")
"""Fields with a set of names, which `collect_labels` gathers (for `slots`: the names of the slots)."""


def _string(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a non-empty string")
    return value


def _strings(value: Any) -> list[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError("a list of strings")
    return list(value)


def _slots(value: Any) -> list[list[str]]:
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if not isinstance(pairs, list | tuple):
        raise ValueError('an object {"name": "value"} or a list of [name, value] pairs')
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise ValueError('an object {"name": "value"} or a list of [name, value] pairs')
    return [[name, text] for name, text in pairs]


def _translations(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError('an object {"de": "text", ...}')
    return dict(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number, 0 or more")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "intent": _string,
    "domain": _string,
    "emotion": _string,
    "sentiment": _string,
    "accent": _string,
    "slots": _slots,
    "keywords": _strings,
    "translations": _translations,
    "num_speakers": _count,
    "is_speech": _flag,
}


def normalise_labels(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the known label fields and brings them into one form; other fields stay as they are, nulls are left out.

    Raises:
        ValueError: If a known field holds something else than it should.
    """
    labels = {}
    for name, value in raw.items():
        if value is None:
            continue
        try:
            labels[name] = _CHECKS[name](value) if name in _CHECKS else value
        except ValueError as error:
            raise ValueError(f"'{name}' should be {error}, not {value!r}") from None
    return labels


def names_used(labels: Mapping[str, Any], field: str) -> list[str]:
    """The names of a field's label set that one utterance uses: one, none, or for slots one a slot."""
    value = labels.get(field)
    if value is None:
        return []
    return [name for name, _ in value] if field == "slots" else [value]


def collect_labels(utterances: Iterable[Utterance]) -> dict[str, LabelSet]:
    """Gathers every label name in use, sorted, with empty descriptions."""
    found: dict[str, set[str]] = {}
    for utterance in utterances:
        for field in INVENTORY_FIELDS:
            if names := names_used(utterance.labels, field):
                found.setdefault(field, set()).update(names)
    return {field: LabelSet(field, dict.fromkeys(sorted(names), "")) for field, names in sorted(found.items())}


def as_label_sets(labels: Mapping[str, Any]) -> dict[str, LabelSet]:
    """Label sets from what a user or a file writes: field to names, or to names with descriptions."""
    sets = {}
    for field, names in labels.items():
        if isinstance(names, LabelSet):
            sets[field] = names
        else:
            described = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names, "")
            sets[field] = LabelSet(field, described)
    return sets


def check_names(labels: Mapping[str, Any], inventory: Mapping[str, LabelSet]) -> None:
    """Refuses a label that is not in the inventory.

    Raises:
        ValueError: If an utterance uses a name that its field's set lacks, or something that is no name.
    """
    for field, known in inventory.items():
        for name in names_used(labels, field):
            if not isinstance(name, str):
                raise ValueError(f"'{field}' has a set of names and should be one of them, not {name!r}")
            if name not in known.descriptions:
                raise ValueError(unknown_name(f"{field} label", name, known.descriptions))
