"""Digits, numbers, times, dates, prices and spelled words, in words as they are spoken."""

from __future__ import annotations

import random
from collections.abc import Sequence

from speechverse.world.language.quantities import MONTHS, hyphenate, in_words, spell_ordinal

_DIGITS = [in_words(digit) for digit in range(10)]
_KINDS = {"digit": 0.15, "digits": 0.35, "number": 0.30, "spelling": 0.20}
_MOST_LETTERS = 9
_CANDIDATES = 20  # words, of which a short one is spelled


def draw_digits_or_spelling(rng: random.Random, words: Sequence[str]) -> tuple[str, str]:
    """A kind (digit, digits, number, spelling) and a text of it; one of `words` is spelled."""
    (kind,) = rng.choices(list(_KINDS), list(_KINDS.values()))
    match kind:
        case "digit":
            return kind, rng.choice(_DIGITS)
        case "digits":
            return kind, _digits(rng, rng.randint(2, 10))
        case "number":
            return kind, rng.choice((_plain, _date, _time, _price, _year, _share))(rng)
    candidates = rng.sample(words, min(_CANDIDATES, len(words)))
    short = [word for word in candidates if len(word) <= _MOST_LETTERS]
    return (kind, _spell(rng, rng.choice(short))) if short else ("digits", _digits(rng, 4))


def _digits(rng: random.Random, count: int) -> str:
    """Digits one by one; long ones often in groups, as of telephone numbers; now and then "oh"."""
    zero = rng.choice(("zero", "zero", "oh"))
    said = [zero if digit == "zero" else digit for digit in rng.choices(_DIGITS, k=count)]
    group = rng.choice((3, 4)) if count > 4 and rng.random() < 0.5 else count
    return ", ".join(" ".join(said[start : start + group]) for start in range(0, count, group))


def _plain(rng: random.Random) -> str:
    return in_words(rng.randrange(10 ** rng.randint(2, 6)))


def _date(rng: random.Random) -> str:
    day = hyphenate(spell_ordinal(rng.randint(1, 31))[0])
    month = rng.choice(MONTHS)[0][0].capitalize()
    return rng.choice((f"the {day} of {month}", f"{month} the {day}", f"{month} {day}"))


def _time(rng: random.Random) -> str:
    hour, minute = rng.randint(1, 12), rng.choice(range(5, 60))
    named = in_words(hour)
    clock = f"{named} {'oh ' if minute < 10 else ''}{in_words(minute)}"
    known = (f"{named} o'clock", f"half past {named}", f"quarter to {named}")
    return rng.choice((*known, clock, f"at {clock}"))


def _price(rng: random.Random) -> str:
    unit, small = rng.choice((("dollars", "cents"), ("pounds", "pence"), ("euros", "cents")))
    whole, part = rng.randint(2, 300), rng.randrange(5, 100, 5)
    price = f"{in_words(whole)} {unit}"
    return rng.choice((price, f"{price} and {in_words(part)} {small}"))


def _year(rng: random.Random) -> str:
    century, rest = rng.choice((17, 18, 19, 20)), rng.randint(10, 99)
    return f"{rng.choice(('in ', ''))}{in_words(century)} {in_words(rest)}"


def _share(rng: random.Random) -> str:
    number = in_words(rng.randint(1, 100))
    after, before = ("percent", "degrees"), ("number", "page")
    return rng.choice((*(f"{number} {unit}" for unit in after), *(f"{n} {number}" for n in before)))


def _spell(rng: random.Random, word: str) -> str:
    letters = ", ".join(word.upper())
    return rng.choice((letters, f"{word}, {letters}"))
