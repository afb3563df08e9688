"""Values that are counted, not listed: times, durations, amounts, percentages, temperatures, in three languages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

Triple = tuple[str, str, str]

_EN = "one two three four five six seven eight nine ten eleven twelve".split()
_DE = "ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf".split()
_FR = "une deux trois quatre cinq six sept huit neuf dix onze douze".split()
_TENS_EN = "ten twenty thirty forty fifty sixty seventy eighty ninety".split()
_TENS_DE = "zehn zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()
_TENS_FR = "dix vingt trente quarante cinquante soixante soixante-dix quatre-vingts quatre-vingt-dix".split()
_PARTS = (
    ("", "", ""),
    ("fifteen", "fünfzehn", "quinze"),
    ("thirty", "dreißig", "trente"),
    ("forty five", "fünfundvierzig", "quarante-cinq"),
)


def _hours() -> Iterator[Triple]:
    return zip(_EN, _DE, _FR, strict=True)


def _tens(low: int, high: int) -> list[Triple]:
    return list(zip(_TENS_EN, _TENS_DE, _TENS_FR, strict=True))[low - 1 : high]


def times() -> list[Triple]:
    """Times of day: "at [seven thirty]" / "um sieben uhr dreißig" / "à sept heures trente"."""
    values = []
    for hour_en, hour_de, hour_fr in _hours():
        hours = "heure" if hour_fr == "une" else "heures"
        for en, de, fr in _PARTS:
            spoken = f"{hour_en} {en}" if en else f"{hour_en} o'clock"
            values.append((f"at [{spoken}]", f"um {hour_de} uhr {de}".strip(), f"à {hour_fr} {hours} {fr}".strip()))
    return values


def durations() -> list[Triple]:
    """Spans of time: "ten minutes"."""
    units = (("minutes", "minuten", "minutes"), ("hours", "stunden", "heures"), ("seconds", "sekunden", "secondes"))
    counts = list(_hours())[1:] + _tens(2, 5)
    minutes_and_more = [(count, unit) for unit in units for count in counts]
    small = {count[0] for count in list(_hours())[1:]}
    return [
        (f"{c[0]} {u[0]}", f"{c[1]} {u[1]}", f"{c[2]} {u[2]}")
        for c, u in minutes_and_more
        if u[0] == "minutes" or (c[0] in small) == (u[0] == "hours")
    ]


def amounts() -> list[Triple]:
    """Sums of money: "forty dollars"."""
    hundreds = [
        (f"{en} hundred", f"{de}hundert", f"{fr} cents" if en != "one" else "cent") for en, de, fr in list(_hours())[:9]
    ]
    return [(f"{en} dollars", f"{de} dollar", f"{fr} dollars") for en, de, fr in [*_tens(1, 9), *hundreds]]


def percentages() -> list[Triple]:
    """Levels: "sixty percent"."""
    return [(f"{en} percent", f"{de} prozent", f"{fr} pour cent") for en, de, fr in _tens(1, 9)]


def temperatures() -> list[Triple]:
    """Of a room: "twenty one degrees"."""
    ones = zip(_EN[1:9], _DE[1:9], _FR[1:9], strict=True)
    values = [(f"twenty {en} degrees", f"{de}undzwanzig grad", f"vingt-{fr} degrés") for en, de, fr in ones]
    return [("twenty degrees", "zwanzig grad", "vingt degrés"), *values]


def counts() -> list[Triple]:
    """How many: "four"."""
    return list(_hours())[1:]


VALUES: Mapping[str, Callable[[], list[Triple]]] = {
    "times": times,
    "durations": durations,
    "amounts": amounts,
    "percentages": percentages,
    "temperatures": temperatures,
    "counts": counts,
}
