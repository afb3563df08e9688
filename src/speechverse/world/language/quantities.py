"""Values that are counted, not listed: times, dates, durations, amounts, levels, digit strings, in
three languages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files

from speechverse.world.language.loading import LANGUAGES, QUANTITIES_FILE, Triple, read_yaml, triple

_TABLE = read_yaml(files(__package__).joinpath("data", QUANTITIES_FILE))
_EN, _DE, _FR = (_TABLE["ones"][code].split() for code in LANGUAGES)
_TENS_EN, _TENS_DE, _TENS_FR = (_TABLE["tens"][code].split() for code in LANGUAGES)
_ORDINALS_EN, _ORDINALS_DE = _TABLE["ordinals"]["en"].split(), _TABLE["ordinals"]["de"]
MONTHS = [(*triple(names), days) for names, days in _TABLE["months"].items()]
_WEEKDAYS, _NEAR_DAYS = (list(map(triple, _TABLE[kind])) for kind in ("weekdays", "near_days"))
_NEAR_DAYS_SHARE = 4
"""Days near at hand are said about as often as days of the year, though there are fewer of them."""

_DIGIT_STRINGS = 150  # of each length


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
    return hyphenated(_english(number))


def hyphenated(number: str) -> str:
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


def _clock_hour(hour: int) -> Triple:
    """An hour as clocks say it: "sieben uhr", "une heure"."""
    en, de, fr = spell(hour)
    return en, f"{de} uhr", "une heure" if hour == 1 else f"{fr} heures"


def times() -> list[Triple]:
    """Times of day: "at [seven thirty]" / "um sieben uhr dreißig" / "à sept heures trente"."""
    values = [
        ("at [noon]", "um zwölf uhr mittags", "à midi"),
        ("at [midnight]", "um mitternacht", "à minuit"),
    ]
    for hour in range(1, 13):
        en, de, fr = _clock_hour(hour)
        values.append((f"at [{en} o'clock]", f"um {de}", f"à {fr}"))
        values.append((f"at [{en} oh five]", f"um {de} fünf", f"à {fr} cinq"))
        for minute_en, minute_de, minute_fr in map(spell, range(10, 60, 5)):
            values.append((f"at [{en} {minute_en}]", f"um {de} {minute_de}", f"à {fr} {minute_fr}"))
    return [*values, *_spoken_times()]


def _spoken_times() -> Iterable[Triple]:
    for hour in range(1, 12):
        en, de, fr = _clock_hour(hour)
        yield f"at [half past {en}]", f"um halb {_german(hour + 1)}", f"à {fr} et demie"
        yield f"at [quarter past {en}]", f"um viertel nach {_DE[hour]}", f"à {fr} et quart"
        yield f"at [quarter to {en}]", f"um viertel vor {_DE[hour]}", f"à {fr} moins le quart"
        if 5 <= hour <= 10:
            yield f"at [{en} in the morning]", f"um {de} morgens", f"à {fr} du matin"
        if 6 <= hour <= 10:
            yield f"at [{en} in the evening]", f"um {de} abends", f"à {fr} du soir"


def dates() -> list[Triple]:
    """Days near at hand, and those of the year: "on the [third of june]" / "am dritten juni" / "le
    trois juin".
    """
    near = [*_NEAR_DAYS, *_weekdays(), *_days_from_now()]
    return [*near * _NEAR_DAYS_SHARE, *_days_of_the_year()]


def _weekdays() -> Iterable[Triple]:
    for en, de, fr in _WEEKDAYS:
        yield f"on [{en}]", f"am {de}", fr
        yield f"next {en}", f"nächsten {de}", f"{fr} prochain"
        yield f"on [{en} morning]", f"am {de}morgen", f"{fr} matin"
        yield f"on [{en} evening]", f"am {de}abend", f"{fr} soir"


def _days_from_now() -> Iterable[Triple]:
    units = (("days", "tagen", "jours"), ("weeks", "wochen", "semaines"))
    for unit in units:
        for count in map(spell, range(2, 7)):
            en, de, fr = (f"{number} {name}" for number, name in zip(count, unit, strict=True))
            yield f"in [{en}]", f"in {de}", f"dans {fr}"


def _days_of_the_year() -> Iterable[Triple]:
    for month_en, month_de, month_fr, days in MONTHS:
        for day in range(1, days + 1):
            en, de, fr = ordinal(day)
            yield f"on the [{en} of {month_en}]", f"am {de} {month_de}", f"le {fr} {month_fr}"


def ordinal(day: int) -> Triple:
    """Which day of the month: "third", "dritten", "trois"."""
    if day < 20:
        english = _ORDINALS_EN[day - 1]
    else:
        tens, ones = divmod(day, 10)
        english = (
            f"{_TENS_EN[tens]} {_ORDINALS_EN[ones - 1]}" if ones else f"{_TENS_EN[tens][:-1]}ieth"
        )
    german = _ORDINALS_DE.get(day) or _german(day) + ("ten" if day < 20 else "sten")
    return english, german, "premier" if day == 1 else _french(day)


def _counted(numbers: Iterable[int], unit: Triple) -> list[Triple]:
    named = (
        [f"{said} {name}" for said, name in zip(spell(number), unit, strict=True)]
        for number in numbers
    )
    return [(en, de, fr) for en, de, fr in named]


def durations() -> list[Triple]:
    """Spans of time: "ten minutes", "two hours and thirty minutes"."""
    minutes, hours = ("minutes", "minuten", "minutes"), ("hours", "stunden", "heures")
    seconds = ("seconds", "sekunden", "secondes")
    long = _counted(range(2, 5), hours)
    rest = _counted((10, 15, 20, 30, 40, 45), minutes)
    both = [
        (f"{h[0]} and {m[0]}", f"{h[1]} und {m[1]}", f"{h[2]} et {m[2]}")
        for h in long
        for m in rest
    ]
    few = _counted([*range(2, 20), *range(20, 95, 5)], minutes)
    return [*few, *_counted(range(2, 13), hours), *_counted(range(10, 100, 10), seconds), *both]


def amounts() -> list[Triple]:
    """Sums of money: "forty five dollars", "one hundred and fifty euros"."""
    large = [*range(110, 200, 10), *range(200, 1000, 50), *range(1000, 10000, 500)]
    tens = [5, *range(10, 105, 5), *large]
    dollars, euros, pounds = (
        ("dollars", "dollar", "dollars"),
        ("euros", "euro", "euros"),
        ("pounds", "pfund", "livres"),
    )
    return [
        *_counted([*range(2, 100), 100, *large], dollars),
        *_counted(tens, euros),
        *_counted(tens, pounds),
    ]


def percentages() -> list[Triple]:
    """Levels: "sixty five percent"."""
    return _counted(range(5, 105, 5), ("percent", "prozent", "pour cent"))


def temperatures() -> list[Triple]:
    """Of a room: "twenty one degrees"."""
    return _counted(range(15, 31), ("degrees", "grad", "degrés"))


def counts() -> list[Triple]:
    """How many: "four"."""
    return [spell(number) for number in range(2, 21)]


def numbers() -> list[Triple]:
    """Numbers of telephones, rooms and trains, said digit by digit: "four zero seven"."""
    strides = {3: 617, 4: 6_173, 5: 61_723, 6: 617_233}  # primes, which scatter the digits
    return [
        _digits(f"{(place * stride) % 10**length:0{length}d}")
        for length, stride in strides.items()
        for place in range(1, _DIGIT_STRINGS + 1)
    ]


def _digits(digits: str) -> Triple:
    en, de, fr = (" ".join(names[int(digit)] for digit in digits) for names in (_EN, _DE, _FR))
    return en, de, fr


VALUES: Mapping[str, Callable[[], list[Triple]]] = {
    "times": times,
    "dates": dates,
    "durations": durations,
    "amounts": amounts,
    "percentages": percentages,
    "temperatures": temperatures,
    "counts": counts,
    "numbers": numbers,
}
