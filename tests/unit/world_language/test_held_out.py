"""What is held out stays out: intents, domains and names that no part but the test
one ever says.
"""

from __future__ import annotations

import random

import pytest

from speechverse.errors import UserError
from speechverse.world import SynthSpec
from speechverse.world.corpus import label_inventory
from speechverse.world.language import (
    HELD_OUT_STRATA,
    STRATA,
    draw_sentence,
    grammar,
    inventory,
    words,
)


def draws(part: str, stratum: str, count: int = 1500) -> list:
    rng = random.Random(f"{part} {stratum}")
    return [draw_sentence(part, rng, stratum) for _ in range(count)]


def says(text: str, name: str) -> bool:
    return f" {name} " in f" {text} "


def held_back_in(text: str) -> list[str]:
    return [name for name in grammar.load().names_held_back if says(text, name)]


def test_about_one_in_six_names_is_held_back_and_each_open_list_keeps_most(small_world):
    slots = [slot for slot in small_world.slots.values() if slot.is_open]
    held, all_ = sum(len(s.held_back) for s in slots), sum(len(s.values) for s in slots)
    assert 0.05 < held / all_ < 0.35
    assert all(set(slot.seen) | set(slot.held_back) == set(slot.values) for slot in slots)
    assert not any(slot.held_back for slot in small_world.slots.values() if not slot.is_open)


@pytest.mark.parametrize("part", ["train", "dev"])
@pytest.mark.parametrize("stratum", STRATA)
def test_training_never_says_a_name_that_is_held_back(part, stratum):
    assert grammar.load().names_held_back
    for sentence in draws(part, stratum):
        assert not held_back_in(sentence.text), sentence


@pytest.mark.usefixtures("small_world")
@pytest.mark.parametrize("part", ["train", "dev", "test"])
def test_requests_of_the_grammar_hold_nothing_held_out(part):
    for sentence in draws(part, "grammar", 100):
        assert sentence.labels["intent"] in ("play", "go", "stay"), sentence
        assert not held_back_in(sentence.text), sentence
    for sentence in draws(part, "random", 500):
        assert not {"quagga", "xerus", "spurtle"} & set(sentence.text.split()), sentence


@pytest.mark.usefixtures("small_world")
def test_each_held_out_stratum_holds_what_it_is_called():
    assert {
        (s.labels["intent"], s.labels["domain"]) for s in draws("test", "unseen_intents", 100)
    } == {("leave", "travel")}
    assert {
        (s.labels["intent"], s.labels["domain"]) for s in draws("test", "unseen_domain", 100)
    } == {("feed", "zooarium")}
    named = draws("test", "unseen_names", 300)
    assert {s.labels["intent"] for s in named} == {"play", "go"}
    assert all(held_back_in(s.text) for s in named)
    assert {s.stratum for s in named} == {"unseen_names"}


def test_names_of_the_test_part_are_of_both_sorts():
    with_unseen = sum(bool(held_back_in(sentence.text)) for sentence in draws("test", "names"))
    assert 0.2 < with_unseen / 1500 < 0.8


@pytest.mark.parametrize("part", ["train", "dev"])
@pytest.mark.parametrize("stratum", HELD_OUT_STRATA)
def test_other_parts_cannot_ask_for_what_is_held_out(part, stratum):
    with pytest.raises(UserError, match=f"'{stratum}' is held out.*not '{part}'"):
        draw_sentence(part, random.Random(0), stratum)
    with pytest.raises(UserError, match="held out"):
        SynthSpec(strata={"grammar": 1.0, stratum: 0.1})


@pytest.mark.usefixtures("small_world")
def test_labels_are_the_seen_ones_unless_all_are_asked_for():
    assert set(inventory()["intent"]) == {"play", "go", "stay"}
    assert set(inventory()["domain"]) == {"music", "travel"}
    assert set(inventory()["slots"]) == {"singer", "town", "day"}
    every = inventory(held_out=True)
    assert set(every["intent"]) == {"play", "go", "stay", "leave", "feed"}
    assert "zooarium" in every["domain"] and {"thing", "beast"} <= set(every["slots"])
    assert label_inventory()["intent"] == inventory()["intent"]
    assert label_inventory(held_out=True)["intent"] == every["intent"]


@pytest.mark.usefixtures("small_world")
def test_only_a_spec_with_held_out_strata_brings_their_labels():
    assert not SynthSpec().is_held_out
    assert SynthSpec(num_train=0, num_dev=0, num_test=3, strata={"unseen_domain": 1.0}).is_held_out
    assert not SynthSpec(
        num_train=0, num_dev=0, num_test=3, strata={"grammar": 1.0, "unseen_domain": 0.0}
    ).is_held_out


@pytest.mark.usefixtures("small_world")
def test_words_of_held_out_parts_are_not_told():
    said = set(words())
    assert {"rope", "kettle"} <= said
    assert not {"quagga", "spurtle"} & said
    assert not grammar.load().names_held_back & set(words())
