"""Values that are counted, not listed (times, dates, amounts, ...), in three languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files

from speechverse.world.language.loading import LANGUAGES, QUANTITIES_FILE, Triple, triple
from speechverse.world.tables import read_yaml

_TABLE = read_yaml(files(__package__).joinpath("data", QUANTITIES_FILE))
_EN, _DE, _FR = (_TABLE["ones"][code].split() for code in LANGUAGES)
_TENS_EN, _TENS_DE, _TENS_FR = (_TABLE["tens"][code].split() for code in LANGUAGES)
_ORDINALS_EN, _ORDINALS_DE = _TABLE["ordinals"]["en"].split(), _TABLE["ordinals"]["de"]
MONTHS = [(triple(names), days) for names, days in _TABLE["months"].items()]

_NEAR_DAYS_SHARE = 4  # near days are said about as often as days of the year, though they are fewer
_DIGIT_STRINGS = 150  # of each length
_STRIDES = {3: 617, 4: 6_173, 5: 61_723, 6: 617_233}  # length → a prime, which scatters the digits


def spell(number: int) -> Triple:
    """A number of 0 to 9,999 in words, as it stands before a noun: "vingt et un", "einundzwanzig".

    Before a noun that is feminine in French none that ends in one.
    """
    return _english(number), _german(number), _french(number)


def _english(number: int) -> str:
    if number < 20:
        return _EN[number]
    if number < 100:
        return _TENS_EN[number // 10] + (f" {_EN[number % 10]}" if number % 10 else "")
    unit, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    many, rest = divmod(number, unit)
    joint = " and " if rest < 100 else " "
    return f"{_english(many)} {name}" + (f"{joint}{_english(rest)}" if rest else "")


def in_words(number: int) -> str:
    """An English number below a million as people write it: "forty-five"."""
    return hyphenate(_english(number))


def hyphenate(number: str) -> str:
    """An English number in words, with its hyphens."""
    return re.sub("ty (?!thousand)", "ty-", number)


def _german(number: int) -> str:
    if number == 1:
        return "ein"
    if number < 20:
        return _DE[number]
    if number < 100:
        ones = number % 10
        return (f"{_german(ones)}und" if ones else "") + _TENS_DE[number // 10]
    unit, name = (1000, "tausend") if number >= 1000 else (100, "hundert")
    many, rest = divmod(number, unit)
    return (_german(many) if many > 1 else "") + name + (_german(rest) if rest else "")


def _french(number: int) -> str:
    if number < 20:
        return _FR[number]
    if number < 100:
        return _french_tens(number)
    many, rest = divmod(number, 1000 if number >= 1000 else 100)
    count = f"{_french(many)} " if many > 1 else ""
    if number >= 1000:
        return f"{count}mille {_french(rest) if rest else ''}".strip()
    return f"{count}cent {_french(rest)}" if rest else f"{count}cent{'s' if many > 1 else ''}"


def _french_tens(number: int) -> str:
    tens, ones = divmod(number, 10)
    if tens in (7, 9):  # soixante-dix, quatre-vingt-dix: they count on from twenty less
        ones += 10
    if number == 80:
        return "quatre-vingts"
    if not ones:
        return _TENS_FR[tens]
    joint = " et " if ones in (1, 11) and tens < 8 else "-"
    return f"{_TENS_FR[tens]}{joint}{_FR[ones]}"


def spell_ordinal(day: int) -> Triple:
    """Which day of the month: "third", "dritten", "trois"."""
    tens, ones = divmod(day, 10)
    if day < 20:
        english = _ORDINALS_EN[day - 1]
    elif ones:
        english = f"{_TENS_EN[tens]} {_ORDINALS_EN[ones - 1]}"
    else:
        english = f"{_TENS_EN[tens][:-1]}ieth"
    german = _ORDINALS_DE.get(day) or _german(day) + ("ten" if day < 20 else "sten")
    return english, german, "premier" if day == 1 else _french(day)


def _fill(template: str, *words: Triple) -> Triple:
    """A template of three languages, such as "at [{}] / um {} / à {}", with words in its gaps."""
    lines = enumerate(triple(template))
    english, german, french = (line.format(*(word[i] for word in words)) for i, line in lines)
    return english, german, french


def _count(numbers: Iterable[int], template: str) -> list[Triple]:
    return [_fill(template, spell(number)) for number in numbers]


def times() -> list[Triple]:
    """Times of day: "at [seven thirty]" / "um sieben uhr dreißig" / "à sept heures trente"."""
    values = list(map(triple, _TABLE["times"]))
    for hour in range(1, 13):
        clock = _clock_hour(hour)
        values.append(_fill("at [{} o'clock] / um {} / à {}", clock))
        values.append(_fill("at [{} oh five] / um {} fünf / à {} cinq", clock))
        minutes = map(spell, range(10, 60, 5))
        values += [_fill("at [{} {}] / um {} {} / à {} {}", clock, minute) for minute in minutes]
    return values + [value for hour in range(1, 12) for value in _spoken_times(hour)]


def _clock_hour(hour: int) -> Triple:
    en, de, fr = spell(hour)
    return en, f"{de} uhr", "une heure" if hour == 1 else f"{fr} heures"


def _spoken_times(hour: int) -> Iterable[Triple]:
    clock = en, _, fr = _clock_hour(hour)
    yield _fill("at [half past {}] / um halb {} / à {} et demie", (en, _german(hour + 1), fr))
    german = (en, _DE[hour], fr)  # "viertel vor eins", not "ein uhr"
    yield _fill("at [quarter past {}] / um viertel nach {} / à {} et quart", german)
    yield _fill("at [quarter to {}] / um viertel vor {} / à {} moins le quart", german)
    if 5 <= hour <= 10:
        yield _fill("at [{} in the morning] / um {} morgens / à {} du matin", clock)
    if 6 <= hour <= 10:
        yield _fill("at [{} in the evening] / um {} abends / à {} du soir", clock)


def dates() -> list[Triple]:
    """Days near at hand, and those of the year: "on the [third of june]" / "am dritten juni"."""
    near = list(map(triple, _TABLE["near_days"]))
    weekdays = map(triple, _TABLE["weekdays"])
    near += [_fill(line, day) for day in weekdays for line in _TABLE["on_weekdays"]]
    near += [value for line in _TABLE["days_from_now"] for value in _count(range(2, 7), line)]
    on_day = "on the [{} of {}] / am {} {} / le {} {}"
    year = [
        _fill(on_day, spell_ordinal(day), month)
        for month, days in MONTHS
        for day in range(1, days + 1)
    ]
    return [*near * _NEAR_DAYS_SHARE, *year]


def durations() -> list[Triple]:
    """Spans of time: "ten minutes", "two hours and thirty minutes"."""
    seconds, minutes, hours = _TABLE["durations"]
    long, rest = _count(range(2, 5), hours), _count((10, 15, 20, 30, 40, 45), minutes)
    return [
        *_count([*range(2, 20), *range(20, 95, 5)], minutes),
        *_count(range(2, 13), hours),
        *_count(range(10, 100, 10), seconds),
        *(
            _fill("{} and {} / {} und {} / {} et {}", hour, minute)
            for hour in long
            for minute in rest
        ),
    ]


def amounts() -> list[Triple]:
    """Sums of money: "forty five dollars", "one hundred and fifty euros"."""
    dollars, euros, pounds = _TABLE["amounts"]
    large = [*range(110, 200, 10), *range(200, 1000, 50), *range(1000, 10000, 500)]
    tens = [5, *range(10, 105, 5), *large]
    return [
        *_count([*range(2, 100), 100, *large], dollars),
        *_count(tens, euros),
        *_count(tens, pounds),
    ]


def numbers() -> list[Triple]:
    """Numbers of telephones, rooms and trains, said digit by digit: "four zero seven"."""
    return [
        _say_digits(f"{(place * stride) % 10**length:0{length}d}")
        for length, stride in _STRIDES.items()
        for place in range(1, _DIGIT_STRINGS + 1)
    ]


def _say_digits(digits: str) -> Triple:
    en, de, fr = (" ".join(names[int(digit)] for digit in digits) for names in (_EN, _DE, _FR))
    return en, de, fr


VALUES: Mapping[str, Callable[[], list[Triple]]] = {
    "times": times,
    "dates": dates,
    "durations": durations,
    "amounts": amounts,
    "percentages": lambda: _count(range(5, 105, 5), _TABLE["percent"]),
    "temperatures": lambda: _count(range(15, 31), _TABLE["degrees"]),
    "counts": lambda: list(map(spell, range(2, 21))),
    "numbers": numbers,
}
