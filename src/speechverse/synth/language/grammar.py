"""The grammar of requests: templates in three languages over one parse, read from `data/`.

A template is one line a language. `{slot}` stands for a value of a slot, `(a|b|)` for one of several wordings, the same
one in every language, and `*word*` marks a keyword of the English line. A slot's value is written `in the [kitchen]`
where only the bracketed part is the value and the rest comes with it: case and preposition can differ.
"""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, NamedTuple

import yaml

from speechverse.synth.language import quantities

LANGUAGES = ("en", "de", "fr")
_MAX_KEYWORDS = 4
_CHOICE = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{(\w+)\}")
_TOKEN = re.compile(r"\{(?P<slot>\w+)\}|\*(?P<keyword>[^*]+)\*")


class Value(NamedTuple):
    """One value of a slot: how it is said in each language, and which part of the English is the value itself."""

    said: tuple[str, str, str]
    value: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot type, with the values it takes; `is_keyword` says whether its values are content words."""

    name: str
    description: str
    values: tuple[Value, ...]
    is_keyword: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """A kind of request; `templates` holds one line a language each."""

    name: str
    domain: str
    description: str
    templates: tuple[tuple[str, str, str], ...]


class Spoken(NamedTuple):
    """A request as it is said."""

    text: str
    slots: tuple[tuple[str, str], ...]
    keywords: tuple[str, ...]
    translations: dict[str, str]


@dataclass(frozen=True, slots=True)
class World:
    """All intents, slots and the phrases that go round any request."""

    intents: tuple[Intent, ...]
    slots: Mapping[str, Slot]
    domains: Mapping[str, str]
    openers: tuple[tuple[str, str, str], ...]
    closers: tuple[tuple[str, str, str], ...]

    def speak(self, intent: Intent, rng: random.Random) -> Spoken:
        """Says a request of an intent in one of its wordings."""
        lines = _choose(rng.choice(intent.templates), rng)
        values = {name: rng.choice(self.slots[name].values) for name in _SLOT.findall(lines[0])}
        english, slots, keywords = self._fill_english(lines[0], values)
        others = [_fill(line, values, index) for index, line in enumerate(lines[1:], start=1)]
        opener, closer = rng.choice(self.openers), rng.choice(self.closers)
        if opener[0] and closer[0]:
            closer = ("", "", "")
        texts = [_tidy(f"{o} {t} {c}") for o, t, c in zip(opener, (english, *others), closer, strict=True)]
        return Spoken(texts[0], slots, keywords, dict(zip(LANGUAGES[1:], texts[1:], strict=True)))

    def _fill_english(
        self, line: str, values: Mapping[str, Value]
    ) -> tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]]:
        slots: list[tuple[str, str]] = []
        keywords: list[str] = []

        def fill(match: re.Match[str]) -> str:
            name = match["slot"]
            if name is None:
                keywords.append(match["keyword"])
                return match["keyword"]
            slots.append((name, values[name].value))
            if self.slots[name].is_keyword:
                keywords.append(values[name].value)
            return values[name].said[0]

        text = _TOKEN.sub(fill, line)
        return text, tuple(slots), tuple(dict.fromkeys(keywords))[:_MAX_KEYWORDS]

    def words(self) -> set[str]:
        """Every English word that can be said."""
        lines = [t[0] for intent in self.intents for t in intent.templates]
        lines += [v.said[0] for slot in self.slots.values() for v in slot.values]
        lines += [phrase[0] for phrase in (*self.openers, *self.closers)]
        return set(re.findall(r"[a-z']+", " ".join(_SLOT.sub(" ", line) for line in lines)))


@functools.cache
def load() -> World:
    """Reads the grammar from the package's data, once."""
    slots = {slot.name: slot for slot in _slots(_read("slots.yaml"))}
    domains: dict[str, str] = {}
    intents: list[Intent] = []
    for file in ("home.yaml", "people.yaml", "errands.yaml"):
        for name, domain in _read(file).items():
            domains[name] = domain["description"]
            intents += _intents(name, domain["intents"])
    phrases = _read("phrases.yaml")
    return World(tuple(intents), slots, domains, _triples(phrases["openers"]), _triples(phrases["closers"]))


def _read(file: str) -> dict[str, Any]:
    return yaml.safe_load(resources.files(__package__).joinpath("data", file).read_text(encoding="utf-8"))


def _intents(domain: str, described: Mapping[str, Any]) -> Iterator[Intent]:
    for name, intent in described.items():
        yield Intent(name, domain, intent["description"], _triples(intent["templates"]))


def _slots(described: Mapping[str, Any]) -> Iterator[Slot]:
    for name, slot in described.items():
        rows = quantities.VALUES[slot["computed"]]() if "computed" in slot else _triples(slot["values"])
        values = tuple(_value(row) for row in rows)
        yield Slot(name, slot["description"], values, slot.get("keyword", True))


def _value(said: tuple[str, str, str]) -> Value:
    marked = re.search(r"\[(.+)\]", said[0])
    english = said[0].replace("[", "").replace("]", "")
    return Value((english, *said[1:]), marked[1] if marked else english)


def _triples(lines: Sequence[Any]) -> tuple[tuple[str, str, str], ...]:
    """A line is `english | german | french`, or one text for all three."""
    return tuple(_triple(line) for line in lines)


def _triple(line: str) -> tuple[str, str, str]:
    parts = [part.strip() for part in line.split(" / ")] if " / " in line else [line] * len(LANGUAGES)
    if len(parts) != len(LANGUAGES):
        raise ValueError(f"a line of the grammar needs {len(LANGUAGES)} languages, got {parts}")
    return (parts[0], parts[1], parts[2])


def _choose(template: tuple[str, str, str], rng: random.Random) -> tuple[str, str, str]:
    """Takes one wording of each group of choices, the same in all languages."""
    counts = [len(group.split("|")) for group in _CHOICE.findall(template[0])]
    picks = [rng.randrange(count) for count in counts]
    english, german, french = (_pick(line, picks) for line in template)
    return english, german, french


def _pick(line: str, picks: Sequence[int]) -> str:
    remaining = iter(picks)
    return _CHOICE.sub(lambda match: match[1].split("|")[next(remaining)], line)


def _fill(line: str, values: Mapping[str, Value], language: int) -> str:
    return _SLOT.sub(lambda match: values[match[1]].said[language], line)


def _tidy(text: str) -> str:
    return " ".join(text.split())
