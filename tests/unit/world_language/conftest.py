"""A small language with every held-out part, and lists that are open."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechverse.world.language import grammar

FIRST = (
    "aldo berta cosmo dunja egon frieda gerda hugo inka jonas karin lothar marta norbert olga pavel"
    " rita sven"
)
TOWNS = (
    "arfeld bomlitz calvorde dassow elmen fintel garz hagenow ivenack jarmen kyritz lassan marlow"
    " neuburg oranien"
)

HOME = """
music:
  description: tunes and singers
  intents:
    play:
      description: hear a singer
      templates: ["(play|sing) {singer} / (spiel|sing) {singer} / (joue|chante) {singer}"]
travel:
  description: ways and places
  intents:
    go:
      description: reach a place
      templates: ["bring me to {town} {day} / bring mich nach {town} {day} / va {town} {day}"]
    stay: {description: remain there, templates: ["i *remain* {day} / ich bleibe {day} / je reste {day}"]}
    leave:
      description: get away
      held_out: true
      templates: ["away from {town} with {thing} / weg von {town} mit {thing} / loin de {town} avec {thing}"]
"""
ZOO = """
zooarium:
  description: wild beasts
  held_out: true
  intents:
    feed:
      description: give something
      templates: ["the {beast} wants {thing} / {beast} will {thing} / {beast} veut {thing}"]
"""
SLOTS = f"""
singer: {{description: who sings, open: true, values: [{", ".join(FIRST.split())}, the old {FIRST.split()[0]}]}}
day: {{description: some day, keyword: false, values: [today / heute / demain, "on [friday] / am freitag / vendredi"]}}
"""
SLOTS_FAR = f"""
town: {{description: a place, open: true, values: [{", ".join(TOWNS.split())}]}}
thing: {{description: an object, values: [spurtle, rope, kettle]}}
beast: {{description: an animal, values: [quagga, xerus]}}
"""
PHRASES = """
openers: ["", "please / bitte / pardon"]
closers: ["", "thanks / danke / merci"]
"""
FILES = {
    "home.yaml": HOME,
    "zooarium.yaml": ZOO,
    "slots.yaml": SLOTS,
    "slots_far.yaml": SLOTS_FAR,
    "phrases.yaml": PHRASES,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Data files of the small language."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def small_world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> grammar.World:
    """The small language in place of the package's."""
    world = grammar.read(folder)
    monkeypatch.setattr(grammar, "load", lambda: world)
    return world
