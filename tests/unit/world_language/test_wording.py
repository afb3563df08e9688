"""Wordings are the same choice in every language; names that are held back are found in any text."""

from __future__ import annotations

import random

from speechverse.world.language import grammar
from speechverse.world.language.wording import choose_wording

TEMPLATE = (
    "(play|*sing*) {singer} (now|*today*)",
    "(spiel|sing) jetzt {singer} (gleich|heute)",
    "(joue|chante) {singer} (ici|demain)",
)


def test_a_wording_is_the_same_choice_in_every_language() -> None:
    value = grammar.Value(("the old aldo", "den alten aldo", "le vieil aldo"), "aldo")
    wordings = {choose_wording(TEMPLATE, random.Random(seed)) for seed in range(50)}
    said = {
        tuple(wording.say(language, {"singer": value}) for language in range(3))
        for wording in wordings
    }
    assert said == {
        (
            f"{english} the old aldo {end}",
            f"{german} jetzt den alten aldo {ende}",
            f"{french} le vieil aldo {fin}",
        )
        for english, german, french in (("play", "spiel", "joue"), ("sing", "sing", "chante"))
        for end, ende, fin in (("now", "gleich", "ici"), ("today", "heute", "demain"))
    }
    assert all(wording.slots == ("singer",) for wording in wordings)
    assert {tuple(mark.name for mark in wording.marks) for wording in wordings} == {
        ("singer",), ("sing", "singer"), ("singer", "today"), ("sing", "singer", "today")
    }  # fmt: skip


def test_names_held_back_are_found_wherever_they_stand() -> None:
    world = grammar.load()
    for name in world.names_held_back:
        assert all(
            world.says_held_back(text)
            for text in (name, f"so {name}", f"{name} so", f"is {name} in")
        )
    whole = next(name for name in sorted(world.names_held_back) if " " not in name)
    assert not world.says_held_back(f"so {whole}ish it is")
