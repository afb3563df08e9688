"""What the spoken world says: repeatable, kept apart between parts, and labelled truly."""

from __future__ import annotations

import random
import re
from collections import Counter
from functools import cache

import pytest

from speechverse.errors import UserError
from speechverse.world.language import STRATA, Sentence, draw_sentence, inventory, words

PARTS = ("train", "dev", "test")
LANGUAGES = ("de", "fr")


@cache
def draws(part: str, stratum: str, count: int = 5000) -> tuple[Sentence, ...]:
    rng = random.Random(f"{part} {stratum}")
    return tuple(draw_sentence(part, rng, stratum) for _ in range(count))


@cache
def some_of(stratum: str) -> tuple[Sentence, ...]:
    return draws("train", stratum)


def occur_in_order(phrases: list[str], text: str) -> bool:
    """Whether whole words hold each phrase, each beginning after the one before it began."""
    found = -1
    for phrase in phrases:
        found = f" {text} ".find(f" {phrase} ", found + 1)
        if found < 0:
            return False
    return True


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_the_strata_are_the_five_reported_apart():
    assert STRATA == ("grammar", "free", "names", "numbers", "random")
    assert draw_sentence("train", random.Random(0)).stratum == "grammar"


@pytest.mark.parametrize("stratum", STRATA)
def test_the_same_seed_draws_the_same_sentences(stratum):
    first, second = (
        [draw_sentence("dev", rng, stratum) for _ in range(50)]
        for rng in map(random.Random, (7, 7))
    )
    assert first == second
    assert first != [draw_sentence("dev", random.Random(8), stratum) for _ in range(50)]


@pytest.mark.parametrize("stratum", STRATA)
def test_no_sentence_is_in_two_parts(stratum):
    train, dev, test = ({s.text for s in draws(part, stratum)} for part in PARTS)
    assert not train & dev and not train & test and not dev & test


def test_an_unknown_stratum_is_named():
    with pytest.raises(UserError, match="grammer"):
        draw_sentence("train", random.Random(0), "grammer")


@pytest.mark.parametrize("stratum", STRATA)
def test_text_is_lower_case_words_only(stratum):
    odd = [
        s.text
        for s in some_of(stratum)
        if not re.fullmatch(r"[a-z][a-z']*( [a-z][a-z']*)*", s.text)
    ]
    assert odd == []


@pytest.mark.parametrize("stratum", STRATA)
def test_sentences_know_their_stratum_and_seldom_repeat(stratum):
    assert {s.stratum for s in some_of(stratum)} == {stratum}
    assert len({s.text for s in some_of(stratum)}) > 0.8 * len(some_of(stratum))


@pytest.mark.parametrize("stratum", STRATA)
def test_every_keyword_occurs_in_spoken_order(stratum):
    for sentence in some_of(stratum):
        assert occur_in_order(list(sentence.keywords), sentence.text), sentence
        assert len(sentence.keywords) <= 4 and len(set(sentence.keywords)) == len(
            sentence.keywords
        ), sentence


@pytest.mark.parametrize("stratum", ["grammar", "free", "names", "random"])
def test_sentences_have_keywords_and_numbers_have_none(stratum):
    assert mean([bool(s.keywords) for s in some_of(stratum)]) > 0.95
    assert not any(s.keywords for s in some_of("numbers"))


@pytest.mark.parametrize("stratum", [s for s in STRATA if s != "grammar"])
def test_only_requests_have_intents_slots_and_translations(stratum):
    for sentence in some_of(stratum):
        assert sentence.request is None and not sentence.slots
        assert sentence.labels.keys() <= {"stratum", "keywords", "rare_words"}


def test_every_slot_value_occurs_in_spoken_order():
    for sentence in some_of("grammar"):
        assert occur_in_order([value for _, value in sentence.slots], sentence.text), sentence
        assert len({name for name, _ in sentence.slots}) == len(sentence.slots), sentence


def test_labels_of_requests_are_in_the_inventory_and_all_of_it_is_used():
    known = inventory()
    assert {s.labels["intent"] for s in some_of("grammar")} == set(known["intent"])
    assert {s.labels["domain"] for s in some_of("grammar")} == set(known["domain"])
    assert {name for s in some_of("grammar") for name, _ in s.slots} == set(known["slots"])


def test_every_label_is_described():
    for names in inventory().values():
        assert all(
            re.fullmatch(r"[a-z]+(_[a-z]+)*", name) and description.strip()
            for name, description in names.items()
        )


def test_labels_of_a_request_are_what_an_utterance_needs():
    sentence = next(s for s in some_of("grammar") if s.slots and s.keywords)
    labels = sentence.labels
    assert labels["intent"] == sentence.request.intent.name and labels["domain"]
    assert labels["slots"] == [[name, value] for name, value in sentence.slots]
    assert labels["keywords"] == list(sentence.keywords)
    assert set(labels["translations"]) == set(LANGUAGES)


def test_every_request_is_translated():
    for sentence in some_of("grammar"):
        for language in LANGUAGES:
            translation = sentence.labels["translations"][language]
            assert translation.strip() and translation != sentence.text, sentence


def test_no_markup_of_the_rules_is_left_anywhere():
    for stratum in STRATA:
        for s in some_of(stratum):
            strings = [
                s.text,
                *s.labels.get("translations", {}).values(),
                *s.keywords,
                *(value for _, value in s.slots),
            ]
            assert not any(re.search(r"[{}\[\]()|*/?]|  |^ | $", string) for string in strings), s


def test_intents_come_about_equally_often():
    counts = Counter(s.labels["intent"] for s in some_of("grammar"))
    share = len(some_of("grammar")) / len(counts)
    assert all(0.6 * share < count < 1.5 * share for count in counts.values()), counts


@pytest.mark.parametrize("stratum", STRATA)
def test_sentences_are_of_a_sayable_length(stratum):
    lengths = [len(s.text.split()) for s in some_of(stratum)]
    assert 6 <= mean(lengths) <= 11
    assert mean([length <= 15 for length in lengths]) > 0.95


def test_the_world_is_wide_enough():
    every = inventory(held_out=True)
    assert len(every["intent"]) >= 60 and len(every["domain"]) >= 12 and len(every["slots"]) >= 30
    assert len(set(words())) >= 2000
    assert {word for s in some_of("grammar") for word in s.text.split()} <= set(words())


def test_random_words_are_the_worlds_words():
    assert {word for s in some_of("random") for word in s.text.split()} <= set(words())


def test_an_intents_name_seldom_gives_itself_away():
    shared = []
    for sentence in some_of("grammar"):
        name = set(sentence.labels["intent"].split("_"))
        shared.append(len(name & set(sentence.text.split())) / len(name))
    assert mean(shared) < 0.35


@pytest.mark.parametrize("stratum", ["free", "names", "numbers", "random"])
def test_a_stratum_never_runs_dry(stratum):
    texts = [s.text for s in some_of(stratum)]
    repeated = sum(count * (count - 1) // 2 for count in Counter(texts).values())
    pairs = len(texts) * (len(texts) - 1) / 2
    assert repeated < pairs / 10_000  # as if drawn from more than ten thousand equally likely ones
