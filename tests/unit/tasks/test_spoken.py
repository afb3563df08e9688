"""Words and phrases that keyword search asks for where nobody chose keywords."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter

import pytest

from speechverse.tasks import Ask, PromptSet, get_task
from speechverse.tasks.spoken import Spoken, draw_span, is_said, words_of

KWS = dataclasses.replace(get_task("kws"), prompts=PromptSet(("Is '{keyword}' said?",)))
TEXTS = (
    "The night train leaves the old station.",
    "Turn on the light in the hall.",
    "A knight rode through the valley.",
    "The old woman sold her garden.",
    "Seven ducks crossed the road.",
)


def asked_about(clip, texts=TEXTS, draws=400, **how) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {"yes": Counter(), "no": Counter()}
    for seed in range(draws):
        example = KWS.render(clip, Ask(random.Random(seed), texts=texts, **how))
        found[example.target][example.instruction.split("'")[1]] += 1
    return found


def test_plain_texts_are_asked_words_and_phrases_said_and_not_said_in_equal_parts(speech) -> None:
    for training in (True, False):
        asked = asked_about(speech(text=TEXTS[0], keywords=None), training=training)
        assert 160 < asked["yes"].total() < 240
        for answer, keywords in asked.items():
            sizes = {len(keyword.split()) for keyword in keywords}
            assert sizes == {1, 2, 3}, f"{answer}: words, and phrases of two and three"
        assert all(is_said(keyword, words_of(TEXTS[0])) for keyword in asked["yes"])
        others = [words_of(text) for text in TEXTS[1:]]
        assert all(any(is_said(keyword, words) for words in others) for keyword in asked["no"])


def test_what_is_not_said_may_sound_alike_but_never_the_same(speech) -> None:
    asked = asked_about(speech(text="What a night", keywords=None), draws=800)["no"]
    assert asked["light"] > 20, "one other consonant"
    spoken = Spoken.of(TEXTS)
    near = {spoken._sounding_like(random.Random(seed), "night", ["night"]) for seed in range(40)}
    assert near == {"light"}, "'knight' sounds the same"


def test_phrases_of_other_sentences_share_words_with_what_is_said(speech) -> None:
    asked = asked_about(speech(text="He is an old man", keywords=None))["no"]
    assert any("old" in keyword.split() for keyword in asked)
    assert not any(is_said(keyword, words_of("He is an old man")) for keyword in asked)


def test_clips_with_keywords_are_asked_for_them_too_and_in_evaluation_for_nothing_else(
    speech,
) -> None:
    clip = speech(text="Play Miles Davis in the kitchen", keywords=["miles davis", "kitchen"])
    vocabulary = ("umbrella", "violin")
    evaluated = asked_about(clip, vocabulary=vocabulary, training=False)
    assert set(evaluated["yes"]) == {"miles davis", "kitchen"} and set(evaluated["no"]) == set(
        vocabulary
    )
    trained = asked_about(clip, vocabulary=vocabulary)
    assert {"miles davis", "play miles"} <= set(trained["yes"]) and {"umbrella", "ducks"} <= set(
        trained["no"]
    )


def test_a_clip_without_keywords_beside_others_that_have_them_is_asked_for_words_of_all_texts(
    speech,
) -> None:
    asked = asked_about(speech(text=TEXTS[4], keywords=None), vocabulary=("violin",))
    assert "violin" not in asked["no"] and {"garden", "station"} <= set(asked["no"])


@pytest.mark.parametrize("text", ["The.", "to be or not", "S, T, A, R"])
def test_texts_of_words_that_tell_nothing_are_asked_for_what_there_is(text: str) -> None:
    assert is_said(draw_span(random.Random(0), words_of(text)), words_of(text))
