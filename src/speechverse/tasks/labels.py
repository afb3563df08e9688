"""A set of labels with what each one means."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from speechverse.errors import TaskError
from speechverse.metrics.normalize import normalize_unicode


@lru_cache(maxsize=16_384)  # every answer is compared with every label
def label_key(text: str) -> str:
    """What is left of a label or an answer when case, punctuation and the kind of separator do not
    matter.

    In any language, by no rule of one: numbers stay as they are written, and vowel signs tell
    labels apart.
    """
    return normalize_unicode(text.casefold())


@dataclass(frozen=True)
class LabelSet:
    """The names a label can take, in order, each with a description or the empty string.

    Attributes:
        field: The field of `Utterance.labels` these are the values of.
        descriptions: Name to description.
    """

    field: str
    descriptions: Mapping[str, str]

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for name in self.descriptions:
            key = label_key(name)
            if not key:
                raise TaskError(
                    f"label '{name}' of '{self.field}' has no letter or digit; give it a name"
                )
            if key in seen:
                raise TaskError(
                    f"labels '{seen[key]}' and '{name}' of '{self.field}' read alike in an answer;"
                    " rename one"
                )
            seen[key] = name

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(self.descriptions)

    def with_descriptions_of(self, other: LabelSet | None) -> LabelSet:
        """These labels, descriptions that are missing taken from another set."""
        if other is None:
            return self
        merged = {
            name: text or other.descriptions.get(name, "")
            for name, text in self.descriptions.items()
        }
        return LabelSet(self.field, merged)

    def draw(self, rng: random.Random, num: int, always: Collection[str]) -> tuple[str, ...]:
        """At most `num` names in random order, those of `always` among them even if they alone are
        more.
        """
        kept = [name for name in self.names if name in always]
        others = [name for name in self.names if name not in always]
        names = kept + rng.sample(others, max(0, min(num - len(kept), len(others))))
        rng.shuffle(names)
        return tuple(names)

    def listing(self, names: Collection[str], describe: bool) -> str:
        """Names as an instruction lists them: `a, b, c`, or with descriptions `a: means this; b:
        means that`.
        """
        if not describe or not any(self.descriptions[name] for name in names):
            return ", ".join(names)
        return "; ".join(
            f"{name}: {text}" if (text := self.descriptions[name]) else name for name in names
        )


def as_name(value: Any) -> str | None:
    """A label as an answer says it, be it text, a number, true or false; None if it is none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, str | int | float) else None
