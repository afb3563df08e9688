"""Questions about a sentence: their answers stand in it, and the question alone does not tell them."""

from __future__ import annotations

import math
import random
import re
from collections import Counter
from functools import cache

import pytest

from speechverse.synth.language import STRATA, Sentence, draw_sentence, grammar, questions
from speechverse.synth.language.sentence import part_of

STRATA_COUNT = 1500
NUMBERS = {"zero": 0, "one": 1, "two": 2, "three": 3}


@cache
def draws(stratum: str, part: str = "train", count: int = STRATA_COUNT) -> tuple[Sentence, ...]:
    rng = random.Random(f"questions {stratum} {part}")
    return tuple(draw_sentence(part, rng, stratum) for _ in range(count))


@cache
def asked(stratum: str) -> tuple[tuple[Sentence, str, str], ...]:
    return tuple((s, question, answer) for s in draws(stratum) for question, answer in s.questions)


def says(text: str, phrase: str) -> bool:
    return f" {phrase} " in f" {text} "


@pytest.mark.parametrize("stratum", STRATA)
def test_every_sentence_has_two_to_four_questions_that_are_not_the_same(stratum):
    for sentence in draws(stratum):
        questions = sentence.questions
        assert 2 <= len(questions) <= 4, sentence
        assert len({question for question, _ in questions}) == len(questions)
        assert all(re.fullmatch(r"[A-Z].*[?.]", question) and answer for question, answer in questions)


@pytest.mark.parametrize("stratum", STRATA)
def test_questions_depend_on_the_sentence_alone(stratum):
    sentence = draws(stratum)[0]
    assert sentence.questions == sentence.questions
    assert sentence.labels["questions"] == [list(pair) for pair in sentence.questions]


@pytest.mark.parametrize("stratum", STRATA)
def test_an_answer_that_is_no_yes_no_or_number_is_said(stratum):
    for sentence, question, answer in asked(stratum):
        if answer not in ("yes", "no") and not question.startswith(("How many", "Of ")):
            assert says(sentence.text, answer), (sentence.text, question, answer)


@pytest.mark.parametrize("stratum", STRATA)
def test_mentioned_is_what_is_said_and_not_mentioned_what_is_not(stratum):
    patterns = [
        r"Does the speaker mention (.+)\?",
        r'Is "(.+)" said\?',
        r'Can "(.+)" be heard.*',
        r'Does "(.+)" come up\?',
    ]
    checked = Counter()
    for sentence, question, answer in asked(stratum):
        for pattern in patterns:
            found = re.fullmatch(pattern, question)
            if found and answer in ("yes", "no"):
                assert says(sentence.text, found[1]) == (answer == "yes"), (sentence.text, question, answer)
                checked[answer] += 1
    assert min(checked["yes"], checked["no"]) > 50


@pytest.mark.parametrize("stratum", STRATA)
def test_of_two_only_the_answer_is_said_and_counts_are_true(stratum):
    for sentence, question, answer in asked(stratum):
        two = re.fullmatch(r"Which is mentioned: (.+) or (.+)\?", question)
        three = re.fullmatch(r'How many of "(.+)", "(.+)" and "(.+)" are said\?', question)
        if two:
            assert [p for p in two.groups() if says(sentence.text, p)] == [answer], (sentence.text, question)
        if three:
            assert sum(says(sentence.text, p) for p in three.groups()) == NUMBERS[answer], (sentence.text, question)


def test_kinds_that_are_not_named_are_not_in_the_text():
    values = {
        questions.spoken_name(slot.name): [v.value for v in slot.values] for slot in grammar.load().slots.values()
    }
    seen = 0
    for sentence, question, answer in asked("grammar"):
        kind = re.fullmatch(r"Is any (.+) named\?", question)
        if kind:
            assert any(says(sentence.text, value) for value in values[kind[1]]) == (answer == "yes"), sentence.text
            seen += 1
    assert seen > 50


def test_which_value_has_one_answer():
    for sentence, question, answer in asked("grammar"):
        kind = re.fullmatch(r"Which (.+) is named\?", question)
        if kind:
            assert {questions.spoken_name(name): value for name, value in sentence.slots}[kind[1]] == answer


@pytest.mark.parametrize("stratum", STRATA)
def test_half_of_the_answers_are_yes(stratum):
    answers = Counter(answer for _, _, answer in asked(stratum) if answer in ("yes", "no"))
    assert 0.45 < answers["yes"] / answers.total() < 0.55


@pytest.mark.parametrize("stratum", STRATA)
def test_the_question_alone_does_not_tell_yes_from_no(stratum):
    """Naive Bayes over the words and pairs of words of the question, learned on one half, tried on the other."""
    pairs = [(features(q), a == "yes") for _, q, a in asked(stratum) if a in ("yes", "no")]
    learned, tried = pairs[::2], pairs[1::2]
    counts = {
        is_yes: Counter(f for features_, a in learned if a == is_yes for f in features_) for is_yes in (True, False)
    }
    totals = {is_yes: sum(a == is_yes for _, a in learned) for is_yes in counts}

    def odds(found: set[str]) -> float:
        return sum(
            math.log((counts[True][f] + 1) / (totals[True] + 2))
            - math.log((counts[False][f] + 1) / (totals[False] + 2))
            for f in found
        )

    right = sum((odds(found) > 0) == is_yes for found, is_yes in tried)
    assert right / len(tried) < 0.6


def features(question: str) -> set[str]:
    words = question.lower().split()
    return {*words, *(" ".join(pair) for pair in zip(words, words[1:], strict=False)), question}


@pytest.mark.parametrize("stratum", STRATA)
def test_the_place_in_the_question_does_not_tell_which_of_two(stratum):
    places = []
    for _, question, answer in asked(stratum):
        found = re.fullmatch(r"Which is mentioned: (.+) or (.+)\?", question)
        if found:
            places.append(found[1] == answer)
    assert 0.4 < sum(places) / len(places) < 0.6


def test_rare_words_are_names_in_spoken_order():
    for sentence in draws("names"):
        assert set(sentence.rare_words) <= set(sentence.text.split())
        assert [w for w in sentence.text.split() if w in sentence.rare_words][0:1] == list(sentence.rare_words[:1])
        assert sentence.rare_words, sentence
        assert sentence.labels["rare_words"] == list(sentence.rare_words)
    assert sum(bool(sentence.rare_words) for sentence in draws("free")) < 0.5 * len(draws("free"))


@pytest.mark.usefixtures("small_world")
def test_rare_words_of_requests_come_from_open_lists():
    rng = random.Random(0)
    for _ in range(100):
        sentence = draw_sentence("train", rng)
        names = [value for name, value in sentence.slots if name in ("singer", "town")]
        assert sentence.rare_words == tuple(" ".join(names).replace("the old ", "").split())


@pytest.mark.parametrize("stratum", STRATA)
def test_what_a_question_is_set_against_could_be_said_in_the_same_part(stratum, monkeypatch):
    world, others = grammar.load(), []

    def listen(said, draw_other, rng):
        others.extend((part_of(said.text), draw_other()) for _ in range(3))
        return ()

    monkeypatch.setattr("speechverse.synth.language.sentence.ask", listen)
    for part in ("train", "dev"):
        for said in draws(stratum, part, 60):
            assert said.questions == ()
    seen = {intent.name for intent in world.seen_intents}
    for part, other in others:
        assert part_of(other.text) == part and other.stratum == stratum
        assert not world.says_held_back(other.text) and other.intent in {None, *seen}
