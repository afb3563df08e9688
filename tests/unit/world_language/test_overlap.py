"""The word-overlap score: what a rule on shared words gets, without hearing or understanding
anything.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from shared_words import content_words, fold, word_overlap

from speechverse.world.language import grammar

COLOURS = "red green blue white black brown pink grey".split()


def write(folder: Path, said: str, held_out: str = "false") -> grammar.World:
    """Eight intents, each named after a colour; `said` is each one's only sentence."""
    lines = ["paint:", " description: paints", " intents:"]
    for colour in COLOURS:
        text = said.format(colour)
        lines.append(
            f"  {colour}: {{description: wants {colour}ed walls, held_out: {held_out}, templates:"
            f" ['{text} / a / b']}}"
        )
    (folder / "paint.yaml").write_text("\n".join(lines))
    (folder / "slots.yaml").write_text("day: {description: a day, values: [now]}")
    (folder / "phrases.yaml").write_text("openers: ['']\nclosers: ['']")
    return grammar.read(folder)


@pytest.mark.parametrize(("said", "score"), [("paint it {}", 1.0), ("paint the wall", 0.125)])
def test_a_name_that_is_said_gives_all_away_and_one_that_is_not_nothing(
    tmp_path, monkeypatch, said, score
):
    world = write(tmp_path, said)
    monkeypatch.setattr(grammar, "load", lambda: world)
    assert word_overlap("seen", draws=100) == pytest.approx(score)


def test_descriptions_are_read_when_asked_for_and_held_out_intents_are_drawn(tmp_path, monkeypatch):
    world = write(tmp_path, "{}ing walls", held_out="true")
    monkeypatch.setattr(grammar, "load", lambda: world)
    assert word_overlap("held_out", descriptions=True, draws=50) == 1.0


@pytest.mark.parametrize("intents", ["seen", "held_out"])
def test_names_and_descriptions_give_little_away(intents):
    assert word_overlap(intents) <= 0.35
    assert word_overlap(intents, descriptions=True) <= 0.55


def test_the_same_seed_gives_the_same_score():
    assert word_overlap("seen", draws=200, seed=3) == word_overlap("seen", draws=200, seed=3)
    assert word_overlap("seen", draws=200, seed=3) != word_overlap("seen", draws=200, seed=4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lamp", "lamps"),
        ("wake", "waking"),
        ("stop", "stopped"),
        ("city", "cities"),
        ("call", "called"),
        ("box", "boxes"),
        ("play", "plays"),
        ("price", "prices"),
        ("pass", "passing"),
    ],
)
def test_forms_of_a_word_are_one(one, other):
    assert fold(one) == fold(other)


def test_different_words_and_stop_words_are_kept_apart():
    assert fold("thing") != fold("the") and fold("bus") != fold("bed")
    assert content_words("What is the Lamp for?") == {fold("lamp")}
