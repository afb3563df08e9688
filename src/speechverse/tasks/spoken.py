"""Words and phrases to ask for, drawn from what is said in a whole corpus: those said and those not
are of one kind.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from speechverse.stop_words import STOP_WORDS

NUM_TRIES = 50
"""Draws of a text that has something not said, before there is taken to be none."""

_SIZES = {1: 0.5, 2: 0.3, 3: 0.2}
"""Words of what is asked for → how often."""

_ALIKE = 0.4
"""Share of what is not said that sounds like a word said, or shares one with a phrase said."""

_SPOKEN_SIGNS = frozenset("#%&@")
"""Punctuation to Unicode that is read out: "c#" is not "c"."""

_WRITTEN = re.compile(r"[^\W_](?:(?:[\w'’-]|[.:](?=[^\W_])|(?<=\d),(?=\d))*[^\W_])?")
"""A word with the signs inside it: `don't`, `7:30`, `p.m`, `3,000`."""

_SAME_SOUND = [
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"^(k|g|p)(?=n)|^w(?=r)|^p(?=s)", ""),
        (r"gh(?=t|$)", ""),
        (r"ph", "f"),
        (r"wh", "w"),
        (r"ck|qu?", "k"),
        (r"(s|t)ch", "ch"),
        (r"c(?=[eiy])|z", "s"),
        (r"c(?!h)", "k"),
        (r"mb$", "m"),
        (r"(.)\1", r"\1"),
        (r"e(?=d?$)", ""),
        (r"[aeiouy]+", "a"),
    )
]
"""Spellings of English that may sound alike: what is left is the word's consonants, and where
vowels are.
"""


@dataclass
class Spoken:
    """The texts of a corpus as words, with look-ups.

    Attributes:
        texts: Lower-case words of each text that has any.
        with_word: Content word → places of the texts that have it.
        sounding: Sound with a gap in it → the words that fill it.
    """

    texts: list[list[str]] = field(default_factory=list)
    with_word: dict[str, list[int]] = field(default_factory=dict)
    sounding: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Spoken:
        """Reads texts."""
        spoken = cls([words for text in texts if (words := words_of(text))])
        for place, words in enumerate(spoken.texts):
            for word in dict.fromkeys(filter(_tells, words)):
                spoken.with_word.setdefault(word, []).append(place)
        for word in spoken.with_word:
            for gap in _gaps(word):
                spoken.sounding.setdefault(gap, []).append(word)
        return spoken

    def unsaid(self, rng: random.Random, words: Sequence[str]) -> str | None:
        """A word or phrase of other texts that is not said here; None if none was found."""
        if rng.random() < _ALIKE and (alike := self._alike(rng, words)):
            return alike
        for _ in range(NUM_TRIES if self.texts else 0):
            span = draw_span(rng, rng.choice(self.texts))
            if not is_confusable(span, words):
                return span
        return None

    def _alike(self, rng: random.Random, words: Sequence[str]) -> str | None:
        known = [word for word in words if word in self.with_word]
        if not known:
            return None
        word = rng.choice(known)
        return (
            self._sounding_like(rng, word, words)
            if rng.random() < _SIZES[1]
            else self._sharing(rng, word, words)
        )

    def _sounding_like(self, rng: random.Random, word: str, words: Sequence[str]) -> str | None:
        """A word of one other consonant (`night`, `light`); what may sound the same is none."""
        sounds = {_sound(said) for said in words}
        near = dict.fromkeys(other for gap in _gaps(word) for other in self.sounding.get(gap, ()))
        found = [
            other
            for other in near
            if _sound(other) not in sounds and not is_confusable(other, words)
        ]
        return rng.choice(found) if found else None

    def _sharing(self, rng: random.Random, word: str, words: Sequence[str]) -> str | None:
        """A phrase of another text around a word said here, another content word of
        which is not.
        """
        other = self.texts[rng.choice(self.with_word[word])]
        spans = [span for span in _spans(other, (2, 3)) if word in span]
        found = [
            span for span in spans if any(_tells(w) and not is_confusable(w, words) for w in span)
        ]
        return " ".join(rng.choice(found)) if found else None


class ByIdentity:
    """Texts as a key of a cache: hashed by identity, for they are many, and kept alive with the
    entry.
    """

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.texts = texts

    def __hash__(self) -> int:
        return id(self.texts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and self.texts is other.texts


@lru_cache(maxsize=16)
def spoken_once(key: ByIdentity) -> Spoken:
    """`Spoken.of`, read once for a tuple that is handed on again and again."""
    return Spoken.of(key.texts)


def draw_span(rng: random.Random, words: Sequence[str]) -> str:
    """A content word, or two or three words in a row that have one; any words where none tells
    anything.
    """
    size = min(rng.choices(list(_SIZES), list(_SIZES.values()))[0], len(words))
    spans = _spans(words, (size,))
    return " ".join(rng.choice([span for span in spans if any(map(_tells, span))] or spans))


def _spans(words: Sequence[str], sizes: Collection[int]) -> list[Sequence[str]]:
    return [words[start : start + size] for size in sizes for start in range(len(words) - size + 1)]


def is_said(keyword: str, words: Sequence[str]) -> bool:
    """Whether the words of a keyword stand together, in order, among the words of a text."""
    sought = keyword.split()
    starts = range(len(words) - len(sought) + 1)
    return any(list(words[start : start + len(sought)]) == sought for start in starts)


def is_confusable(keyword: str, words: Sequence[str]) -> bool:
    """Whether a keyword is said, or differs from a spoken word only in its ending (`light`,
    `lights`).
    """
    return is_said(keyword, words) or any(
        longer.startswith(shorter)
        for part in keyword.split()
        for shorter, longer in (sorted((part, word), key=len) for word in words)
        if len(shorter) >= 4
    )


def words_of(text: str | None) -> list[str]:
    """Lower-case words without the punctuation at their edges; apostrophes and hyphens inside them
    stay.
    """
    return [word for word in map(_bare, (text or "").lower().split()) if word]


def written_words(text: str) -> list[str]:
    """The words of a text as they are written, without the punctuation round them."""
    return _WRITTEN.findall(text)


def _bare(word: str) -> str:
    if word.isalnum():
        return word
    start, end = 0, len(word)
    while start < end and _is_punctuation(word[start]):
        start += 1
    while end > start and _is_punctuation(word[end - 1]):
        end -= 1
    return word[start:end]


def _is_punctuation(sign: str) -> bool:
    return unicodedata.category(sign).startswith("P") and sign not in _SPOKEN_SIGNS


def _tells(word: str) -> bool:
    return len(word) > 1 and word not in STOP_WORDS


def _gaps(word: str) -> list[str]:
    """The word's sound with a gap for each of its consonants."""
    sound = _sound(word)
    return (
        [f"{sound[:n]}_{sound[n + 1 :]}" for n, sign in enumerate(sound) if sign != "a"]
        if len(sound) > 2
        else []
    )


@lru_cache(maxsize=65_536)
def _sound(word: str) -> str:
    for pattern, sound in _SAME_SOUND:
        word = pattern.sub(sound, word)
    return word
