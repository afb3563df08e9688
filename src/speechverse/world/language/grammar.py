"""The grammar of requests: templates in three languages over one parse, read from `data/`.

A template is one line a language. `{slot}` stands for a value of a slot, `(a|b|)` for one of
several wordings, the same one in every language, and `*word*` marks a keyword of the English line.
A slot's value is written `in the [kitchen]` where only the bracketed part is the value and the rest
comes with it: case and preposition can differ.

Parts of the grammar are held out to measure generalisation: intents and domains that say
`held_out`, and about one in six values of the slots that say `open`.
"""

from __future__ import annotations

import dataclasses
import functools
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal, NamedTuple

from speechverse.seeding import hash_seed
from speechverse.world.language import quantities, strata
from speechverse.world.language.loading import LANGUAGES, SLOT, Triple, read_files, triple
from speechverse.world.language.wording import Value, Wording, choose_wording

Names = Literal["seen", "all", "held_back"]
"""Values of open slots that a request may hold: "held_back" needs one that training never draws."""

_NOTHING: Triple = ("", "", "")
_ONE_IN = 6  # names of open lists is held back


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot type."""

    name: str
    description: str
    values: tuple[Value, ...]
    is_open: bool  # whether it is an open list of names
    seen: tuple[Value, ...] = ()  # the values that may be said anywhere
    held_back: tuple[Value, ...] = ()  # the others, for testing

    def choose(self, names: Names, rng: random.Random) -> Value:
        """Draws one of the values."""
        return rng.choice(
            {"seen": self.seen, "all": self.values, "held_back": self.held_back}[names]
        )


@dataclass(frozen=True, slots=True)
class Intent:
    """A kind of request."""

    name: str
    domain: str
    description: str
    templates: tuple[Triple, ...]
    held_out: bool


@dataclass(frozen=True, slots=True)
class Domain:
    """A field of life."""

    name: str
    description: str
    held_out: bool


class Request(NamedTuple):
    """All that chance decides of a request; the rest is worked out when asked for: few are said."""

    intent: Intent
    wording: Wording
    values: Mapping[str, Value]  # slot → what is said in it
    opener: Triple
    closer: Triple

    def say(self, language: int = 0) -> str:
        """The whole request in a language, counted as in `Triple`."""
        request = self.wording.say(language, self.values)
        return " ".join(f"{self.opener[language]} {request} {self.closer[language]}".split())

    @property
    def translations(self) -> dict[str, str]:
        """Language code → the whole request, but for English."""
        return {code: self.say(language) for language, code in enumerate(LANGUAGES) if code != "en"}

    @property
    def slots(self) -> tuple[tuple[str, str], ...]:
        """(name, value) in spoken order."""
        marks = self.wording.marks
        return tuple((mark.name, self.values[mark.name].value) for mark in marks if mark.is_slot)

    @property
    def keywords(self) -> tuple[str, ...]:
        """Content words in spoken order."""
        words = [
            self.values[name].value if is_slot else name
            for name, is_slot in self.wording.marks
            if not is_slot or self.values[name].is_keyword
        ]
        return tuple(dict.fromkeys(words))[: strata.MAX_KEYWORDS]


@dataclass(frozen=True, eq=False)
class World:
    """All intents, slots and the phrases that go round any request."""

    intents: tuple[Intent, ...]  # in order of files
    slots: Mapping[str, Slot]
    domains: Mapping[str, Domain]
    openers: tuple[Triple, ...]
    closers: tuple[Triple, ...]
    names_held_back: frozenset[str]  # of open slots and other strata: no training sentence has them
    rare_words: frozenset[str]  # words of open lists of names that come nowhere else

    @functools.cached_property
    def seen_intents(self) -> tuple[Intent, ...]:
        """Those that may be drawn anywhere."""
        return tuple(i for i in self.intents if not self._is_held_out(i))

    @functools.cached_property
    def unseen_intents(self) -> tuple[Intent, ...]:
        """Held-out intents of seen domains."""
        return tuple(i for i in self.intents if i.held_out and not self.domains[i.domain].held_out)

    @functools.cached_property
    def unseen_domain(self) -> tuple[Intent, ...]:
        """Intents of held-out domains."""
        return tuple(i for i in self.intents if self.domains[i.domain].held_out)

    @functools.cached_property
    def naming_intents(self) -> tuple[Intent, ...]:
        """Seen intents, each with only those templates that can hold a name that was held back."""
        limited = ((i, tuple(filter(self._can_name, i.templates))) for i in self.seen_intents)
        return tuple(dataclasses.replace(i, templates=some) for i, some in limited if some)

    def _is_held_out(self, intent: Intent) -> bool:
        return intent.held_out or self.domains[intent.domain].held_out

    def _can_name(self, template: Triple) -> bool:
        return any(self.slots[name].held_back for name in SLOT.findall(template[0]))

    @functools.cached_property
    def _lengths_held_back(self) -> frozenset[int]:
        return frozenset(name.count(" ") + 1 for name in self.names_held_back)

    def says_held_back(self, text: str) -> bool:
        """Whether a text holds a name that is held back, be it by chance."""
        words = text.split()
        return any(
            " ".join(words[start : start + length]) in self.names_held_back
            for length in self._lengths_held_back
            for start in range(len(words))
        )

    def draw(self, intent: Intent, rng: random.Random, names: Names = "seen") -> Request:
        """Draws a request of an intent; for names "held_back" one of `naming_intents`."""
        while True:
            wording = choose_wording(rng.choice(intent.templates), rng)
            namable = [name for name in wording.slots if self.slots[name].held_back]
            if names != "held_back" or namable:
                break  # else the slot that can name stands in a wording that was not chosen
        wanted: dict[str, Names] = dict.fromkeys(wording.slots, names)
        if names == "held_back":
            rare = rng.choice(namable)
            wanted = {name: "held_back" if name == rare else "all" for name in wording.slots}
        values = {name: self.slots[name].choose(which, rng) for name, which in wanted.items()}
        opener, closer = rng.choice(self.openers), rng.choice(self.closers)
        return Request(
            intent, wording, values, opener, _NOTHING if opener[0] and closer[0] else closer
        )

    def words(self) -> set[str]:
        """Every English word that requests can say, but for those of held-out parts."""
        phrases = (*self.openers, *self.closers)
        lines = [*_say_templates(self.seen_intents), *(phrase[0] for phrase in phrases)]
        for name in slots_of(self.seen_intents):
            lines += [value.said[0] for value in self.slots[name].seen]
        return set(re.findall(r"[a-z']+", " ".join(lines)))


@functools.cache
def load() -> World:
    """Reads the grammar from the package's data, once."""
    return read(resources.files(__package__).joinpath("data"))


def read(folder: Traversable) -> World:
    """Reads a grammar from a folder of data files."""
    files = read_files(folder)
    domains = {
        name: Domain(name, entry["description"], entry.get("held_out", False))
        for name, entry in files.domains.items()
    }
    intents = tuple(_intents(files.domains))
    slots = {name: _slot(name, entry) for name, entry in files.slots.items()}
    openers, closers = (tuple(map(triple, files.phrases[kind])) for kind in ("openers", "closers"))
    seen = [i for i in intents if not i.held_out and not domains[i.domain].held_out]
    plain = [
        *_say_templates(seen),
        *(phrase[0] for phrase in (*openers, *closers)),
        *strata.plain_lines(),
    ]
    used = [slots[name] for name in slots_of(seen)]
    plain += [value.said[0] for slot in used if not slot.is_open for value in slot.values]
    names = {value.value: value.said[0] for slot in used if slot.is_open for value in slot.values}
    held_back = _names_held_back({**names, **{name: name for name in strata.open_names()}}, plain)
    return World(
        intents,
        {name: _part(slot, held_back) for name, slot in slots.items()},
        domains,
        openers,
        closers,
        held_back,
        _rare_words(intents, slots.values(), plain),
    )


def slots_of(intents: Iterable[Intent]) -> list[str]:
    """The slots that some intents use, in order of first use."""
    lines = (line[0] for intent in intents for line in intent.templates)
    return list(dict.fromkeys(name for line in lines for name in SLOT.findall(line)))


def _intents(domains: Mapping[str, Mapping[str, Any]]) -> Iterator[Intent]:
    for domain, described in domains.items():
        for name, entry in described["intents"].items():
            templates = tuple(map(triple, entry["templates"]))
            is_held_out = entry.get("held_out", False)
            yield Intent(name, domain, entry["description"], templates, is_held_out)


def _slot(name: str, entry: Mapping[str, Any]) -> Slot:
    if "computed" in entry:
        rows = quantities.VALUES[entry["computed"]]()
    else:
        rows = list(map(triple, entry["values"]))
    is_keyword = entry.get("keyword", True)
    values = tuple(_value(row, is_keyword) for row in rows)
    return Slot(name, entry["description"], values, entry.get("open", False))


def _value(said: Triple, is_keyword: bool) -> Value:
    marked = re.search(r"\[(.+)\]", said[0])
    english = said[0].replace("[", "").replace("]", "")
    return Value((english, *said[1:]), marked[1] if marked else english, is_keyword)


def _names_held_back(names: Mapping[str, str], plain_lines: Iterable[str]) -> frozenset[str]:
    """About one in six names (mapped to how they are said) of open lists, by a hash of the name.

    A name that is said elsewhere (in a template, a closed list, inside a longer name that is not
    held back) would be heard in training all the same, and so is never held back.
    """
    held = {name for name in names if hash_seed(0, "held back", name) % _ONE_IN == 0}
    lines = [*plain_lines, *(said for name, said in names.items() if name not in held)]
    while True:
        heard = " , ".join(["", *lines, ""])
        leaks = {name for name in held if f" {name} " in heard}
        if not leaks:
            return frozenset(held)
        held -= leaks
        lines = [names[name] for name in leaks]


def _part(slot: Slot, held_back: frozenset[str]) -> Slot:
    kept = tuple(value for value in slot.values if slot.is_open and value.value in held_back)
    seen = tuple(value for value in slot.values if value not in kept)
    return dataclasses.replace(slot, seen=seen, held_back=kept)


def _say_templates(intents: Iterable[Intent]) -> list[str]:
    """What the English lines of intents can say beside their slots."""
    lines = (line[0] for intent in intents for line in intent.templates)
    return [re.sub(r"\{\w+\}|[(|)]", " , ", line).replace("*", "") for line in lines]


def _rare_words(
    intents: Sequence[Intent], slots: Iterable[Slot], plain: Sequence[str]
) -> frozenset[str]:
    common = {word for line in (*plain, *_say_templates(intents)) for word in line.split()}
    listed: set[str] = set()
    for slot in slots:
        words = {word for value in slot.values for word in value.value.split()}
        (listed if slot.is_open else common).update(words)
    words_of_names = {word for name in strata.open_names() for word in name.split()}
    return frozenset(listed - common | words_of_names)
