"""Counted values are said rightly in every language."""

from __future__ import annotations

import pytest

from speechverse.world.language import quantities


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, ("one", "ein", "un")),
        (17, ("seventeen", "siebzehn", "dix-sept")),
        (21, ("twenty one", "einundzwanzig", "vingt et un")),
        (71, ("seventy one", "einundsiebzig", "soixante et onze")),
        (80, ("eighty", "achtzig", "quatre-vingts")),
        (81, ("eighty one", "einundachtzig", "quatre-vingt-un")),
        (91, ("ninety one", "einundneunzig", "quatre-vingt-onze")),
        (100, ("one hundred", "hundert", "cent")),
        (150, ("one hundred and fifty", "hundertfünfzig", "cent cinquante")),
        (200, ("two hundred", "zweihundert", "deux cents")),
        (250, ("two hundred and fifty", "zweihundertfünfzig", "deux cent cinquante")),
        (1500, ("one thousand five hundred", "tausendfünfhundert", "mille cinq cents")),
        (2000, ("two thousand", "zweitausend", "deux mille")),
    ],
)
def test_numbers_are_spelled(number, said):
    assert quantities.spell(number) == said


@pytest.mark.parametrize(
    ("values", "value"),
    [
        (quantities.dates, ("on the [first of may]", "am ersten mai", "le premier mai")),
        (quantities.dates, ("on the [seventh of july]", "am siebten juli", "le sept juillet")),
        (quantities.dates, ("on the [twentieth of june]", "am zwanzigsten juni", "le vingt juin")),
        (
            quantities.dates,
            (
                "on the [thirty first of august]",
                "am einunddreißigsten august",
                "le trente et un août",
            ),
        ),
        (quantities.times, ("at [one o'clock]", "um ein uhr", "à une heure")),
        (quantities.times, ("at [half past two]", "um halb drei", "à deux heures et demie")),
        (
            quantities.times,
            ("at [quarter to one]", "um viertel vor eins", "à une heure moins le quart"),
        ),
        (quantities.amounts, ("eighty euros", "achtzig euro", "quatre-vingts euros")),
        (
            quantities.VALUES["temperatures"],
            ("twenty one degrees", "einundzwanzig grad", "vingt et un degrés"),
        ),
        (
            quantities.VALUES["percentages"],
            ("ninety five percent", "fünfundneunzig prozent", "quatre-vingt-quinze pour cent"),
        ),
    ],
)
def test_values_are_said_as_people_say_them(values, value):
    assert value in values()


def test_every_day_of_the_year_is_there_once():
    days = [english for english, _, _ in quantities.dates() if " of " in english]
    assert len(days) == len(set(days)) == 365


def test_near_days_are_about_as_many_as_days_of_the_year():
    near = [english for english, _, _ in quantities.dates() if " of " not in english]
    assert 0.3 < len(near) / len(quantities.dates()) < 0.7


def test_digit_strings_are_of_three_to_six_digits_and_never_repeat():
    said = quantities.numbers()
    assert {len(english.split()) for english, _, _ in said} == {3, 4, 5, 6}
    assert len(set(said)) == len(said)
    assert all(len(en.split()) == len(de.split()) == len(fr.split()) for en, de, fr in said)
