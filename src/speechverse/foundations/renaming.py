"""Labels under other names: what they are called must be read in the instruction and cannot be remembered."""

from __future__ import annotations

import dataclasses
import random
import re
from collections.abc import Mapping
from typing import Any

from speechverse.stop_words import STOP_WORDS
from speechverse.tasks import LabelSet
from speechverse.tasks.labels import label_key
from speechverse.types import Utterance

RENAMED = ("ic", "sf")
"""Tasks whose labels are described well enough to be renamed after their descriptions."""
_FIELDS = ("intent", "slots")


def other_names(labels: LabelSet, rng: random.Random) -> dict[str, str]:
    """Name → one or two words of its description; a name stays where that is empty or would read like another's."""
    names: dict[str, str] = {}
    taken = {label_key(name) for name in labels.names}
    for name, description in labels.descriptions.items():
        words = [word for word in re.findall(r"[a-z]{2,}", description.lower()) if word not in STOP_WORDS]
        words = list(dict.fromkeys(words))
        drawn = " ".join(rng.sample(words, min(len(words), rng.choice((1, 2, 2)))))
        new = name if not drawn or drawn in taken else drawn
        taken.add(new)
        names[name] = new
    return names


def renamed(labels: LabelSet, names: Mapping[str, str]) -> LabelSet:
    """The same labels under other names."""
    return LabelSet(labels.field, {names[name]: text for name, text in labels.descriptions.items()})


def with_names(utterance: Utterance, names: Mapping[str, str]) -> Utterance:
    """The utterance with its intent and its slots called by other names."""
    labels: dict[str, Any] = {**utterance.labels}
    for field in _FIELDS:
        value = labels.get(field)
        if isinstance(value, str):
            labels[field] = names.get(value, value)
        elif value is not None:
            pairs = value.items() if isinstance(value, Mapping) else value
            labels[field] = [(names.get(name, name), said) for name, said in pairs]
    return dataclasses.replace(utterance, labels=labels)
