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
import itertools
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal, NamedTuple

from speechverse.seeding import hash_seed
from speechverse.world.language import quantities, strata
from speechverse.world.language.loading import (
    LANGUAGES,
    SLOT,
    DataFiles,
    Triple,
    read_files,
    triple,
)
from speechverse.world.language.wording import Value, Wording, choose_wording

Names = Literal["seen", "all", "held_back"]
"""Which values of open slots a request may hold: "held_back" needs at least one that training never
draws.
"""

_NOTHING: Triple = ("", "", "")
_ONE_IN = 6  # names of open lists is held back


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot type."""

    name: str
    description: str  # what its values are
    values: tuple[Value, ...]  # all that it takes
    is_keyword: bool  # whether its values are content words
    is_open: bool  # whether it is an open list of names
    seen: tuple[Value, ...] = ()  # the values that may be said anywhere
    held_back: tuple[Value, ...] = ()  # the others, for testing

    def choose(self, names: Names, rng: random.Random) -> Value:
        """Draws one of the values."""
        return rng.choice(
            self.seen if names == "seen" else self.values if names == "all" else self.held_back
        )


@dataclass(frozen=True, slots=True)
class Intent:
    """A kind of request; `templates` holds one line a language each."""

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


class Drawn(NamedTuple):
    """A request that is drawn: all that chance decides of it."""

    wording: Wording  # of the template
    values: Mapping[str, Value]  # slot → what is said in it
    opener: Triple
    closer: Triple

    def say(self, language: int = 0) -> str:
        """The whole request in a language, counted as in `Triple`."""
        request = self.wording.say(language, self.values)
        return " ".join(f"{self.opener[language]} {request} {self.closer[language]}".split())

    @property
    def translations(self) -> dict[str, str]:
        """The whole request by language code, but for English."""
        return {code: self.say(language) for language, code in enumerate(LANGUAGES) if code != "en"}


@dataclass(frozen=True, eq=False)
class World:
    """All intents, slots and the phrases that go round any request."""

    intents: tuple[Intent, ...]  # in order of files
    slots: Mapping[str, Slot]
    domains: Mapping[str, Domain]
    openers: tuple[Triple, ...]
    closers: tuple[Triple, ...]
    # Names of open slots and of the other strata that no training sentence holds.
    names_held_back: frozenset[str]
    # Words of open lists of names that come nowhere else, and those of the stratum of names.
    rare_words: frozenset[str]

    @functools.cached_property
    def seen_intents(self) -> tuple[Intent, ...]:
        """Those that may be drawn anywhere."""
        return tuple(
            i for i in self.intents if not i.held_out and not self.domains[i.domain].held_out
        )

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
        return tuple(
            dataclasses.replace(i, templates=templates) for i, templates in limited if templates
        )

    @functools.cached_property
    def _words_held_back(self) -> frozenset[str]:
        """Names held back that are one word."""
        return frozenset(name for name in self.names_held_back if " " not in name)

    @functools.cached_property
    def _phrases_held_back(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        """First two words → the longer names held back that begin so."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for name in sorted(self.names_held_back - self._words_held_back):
            first, second = name.split()[:2]
            found[first, second] = (*found.get((first, second), ()), name)
        return found

    def says_held_back(self, text: str) -> bool:
        """Whether a text holds a name that is held back, be it by chance."""
        words, phrases = text.split(), self._phrases_held_back
        if not self._words_held_back.isdisjoint(words):
            return True
        named = [
            name for pair in itertools.pairwise(words) if pair in phrases for name in phrases[pair]
        ]
        return any(f" {name} " in f" {text} " for name in named)

    def _can_name(self, template: Triple) -> bool:
        return any(self.slots[name].held_back for name in SLOT.findall(template[0]))

    def draw(self, intent: Intent, rng: random.Random, names: Names = "seen") -> Drawn:
        """Draws a request of an intent, and works out nothing of it: of many drawn, few are said.

        For names "held_back" the intent is one of `naming_intents`.
        """
        wording, values = self._wording(intent, rng, names)
        opener, closer = rng.choice(self.openers), rng.choice(self.closers)
        return Drawn(wording, values, opener, _NOTHING if opener[0] and closer[0] else closer)

    def _wording(
        self, intent: Intent, rng: random.Random, names: Names
    ) -> tuple[Wording, dict[str, Value]]:
        while True:
            wording = choose_wording(rng.choice(intent.templates), rng)
            if names != "held_back":
                return wording, {
                    name: self.slots[name].choose(names, rng) for name in wording.slots
                }
            namable = [name for name in wording.slots if self.slots[name].held_back]
            if namable:  # a slot may stand in a wording that was not chosen
                rare = rng.choice(namable)
                return wording, {
                    name: self.slots[name].choose("held_back" if name == rare else "all", rng)
                    for name in wording.slots
                }

    def parse(self, drawn: Drawn) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
        """A request's slots with their values, and its keywords, in spoken order."""
        slots: list[tuple[str, str]] = []
        keywords: list[str] = []
        for name, is_slot in drawn.wording.marks:
            said = drawn.values[name].value if is_slot else name
            if is_slot:
                slots.append((name, said))
            if not is_slot or self.slots[name].is_keyword:
                keywords.append(said)
        return tuple(slots), tuple(dict.fromkeys(keywords))[: strata.MAX_KEYWORDS]

    def words(self) -> set[str]:
        """Every English word that requests can say, but for those of held-out parts."""
        lines = [
            *_said_in(self.seen_intents),
            *(phrase[0] for phrase in (*self.openers, *self.closers)),
        ]
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
    intents = tuple(
        intent
        for name, entry in files.domains.items()
        for intent in _intents(name, entry["intents"])
    )
    slots = {name: _slot(name, entry) for name, entry in files.slots.items()}
    seen = [i for i in intents if not i.held_out and not domains[i.domain].held_out]
    phrases = _phrases(files)
    plain = [
        *_said_in(seen),
        *(phrase[0] for some in phrases for phrase in some),
        *strata.plain_lines(),
    ]
    used = [slots[name] for name in slots_of(seen)]
    plain += [value.said[0] for slot in used if not slot.is_open for value in slot.values]
    names = {value.value: value.said[0] for slot in used if slot.is_open for value in slot.values}
    held_back = _names_held_back({**names, **{name: name for name in strata.open_names()}}, plain)
    return World(
        intents,
        {name: _parted(slot, held_back) for name, slot in slots.items()},
        domains,
        *phrases,
        held_back,
        _rare_words(intents, slots.values(), plain),
    )


def slots_of(intents: Iterable[Intent]) -> list[str]:
    """The slots that some intents use, in order of first use."""
    return list(
        dict.fromkeys(
            name for i in intents for line in i.templates for name in SLOT.findall(line[0])
        )
    )


def _phrases(files: DataFiles) -> tuple[tuple[Triple, ...], tuple[Triple, ...]]:
    openers, closers = (tuple(map(triple, files.phrases[kind])) for kind in ("openers", "closers"))
    return openers, closers


def _intents(domain: str, described: Mapping[str, Any]) -> Iterator[Intent]:
    for name, entry in described.items():
        templates = tuple(map(triple, entry["templates"]))
        yield Intent(name, domain, entry["description"], templates, entry.get("held_out", False))


def _slot(name: str, entry: Mapping[str, Any]) -> Slot:
    rows = (
        quantities.VALUES[entry["computed"]]()
        if "computed" in entry
        else map(triple, entry["values"])
    )
    values = tuple(map(_value, rows))
    return Slot(
        name, entry["description"], values, entry.get("keyword", True), entry.get("open", False)
    )


def _value(said: Triple) -> Value:
    marked = re.search(r"\[(.+)\]", said[0])
    english = said[0].replace("[", "").replace("]", "")
    return Value((english, *said[1:]), marked[1] if marked else english)


def _names_held_back(names: Mapping[str, str], plain_lines: Iterable[str]) -> frozenset[str]:
    """About one in six names (mapped to how they are said) of open lists, by a hash of the name
    alone.

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


def _parted(slot: Slot, held_back: frozenset[str]) -> Slot:
    kept = tuple(value for value in slot.values if slot.is_open and value.value in held_back)
    seen = tuple(value for value in slot.values if value not in kept)
    return dataclasses.replace(slot, seen=seen, held_back=kept)


def _said_in(intents: Iterable[Intent]) -> list[str]:
    """What the English lines of intents can say beside their slots."""
    return [
        re.sub(r"\{\w+\}|[(|)]", " , ", line[0]).replace("*", "")
        for i in intents
        for line in i.templates
    ]


def _rare_words(
    intents: Sequence[Intent], slots: Iterable[Slot], plain: Sequence[str]
) -> frozenset[str]:
    listed: set[str] = set()
    common = {word for line in (*plain, *_said_in(intents)) for word in line.split()}
    for slot in slots:
        words = {word for value in slot.values for word in value.value.split()}
        if slot.is_open:
            listed |= words
        else:
            common |= words
    return frozenset(listed - common) | {
        word for name in strata.open_names() for word in name.split()
    }
