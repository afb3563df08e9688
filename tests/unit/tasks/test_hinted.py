"""Recognition with no, right and wrong hints: the same clips and words, and what is scored of them."""

from __future__ import annotations

import random

import pytest

from speechverse.metrics import bootstrap_difference
from speechverse.tasks import Ask, get_task, task_names
from speechverse.tasks.hinted import NO_HINTS, RIGHT, WRONG, rarest_words

HINTS = get_task("hints")
TEXTS = (
    "play Miles Davis in the kitchen",
    "order some Synthroid today",
    "the weather in Yorkshire today",
    "clean the kitchen today",
)


def asked(speech, variant: str, seed: int = 0, **labels):
    return HINTS.render(
        speech(text=TEXTS[0], **labels), Ask(random.Random(seed), texts=TEXTS), variant
    )


def test_the_three_ways_of_asking_differ_in_their_hints_alone(speech) -> None:
    plain, right, wrong = (asked(speech, variant) for variant in (NO_HINTS, RIGHT, WRONG))
    assert right.instruction == f"{plain.instruction}\nHints: play, Miles, Davis"
    assert wrong.instruction.startswith(f"{plain.instruction}\nHints: ")
    hints = wrong.instruction.rpartition("Hints: ")[2].split(", ")
    assert not any(hint.lower() in TEXTS[0].lower() for hint in hints)
    assert plain.reference == right.reference == wrong.reference
    assert "hints" not in task_names(), "asked only where somebody names it"


def test_the_rarest_words_are_hinted_at_or_those_a_label_names(speech) -> None:
    assert rarest_words("today the weather in Yorkshire", TEXTS) == [
        "today",
        "weather",
        "Yorkshire",
    ]
    assert rarest_words("clean the kitchen for Miles today", TEXTS) == ["clean", "kitchen", "Miles"]
    named = asked(speech, RIGHT, hints=["Miles Davis"])
    assert named.instruction.endswith("\nHints: Miles Davis")
    assert named.reference["words"] == "Miles Davis"


def test_the_words_hinted_at_are_scored_apart_from_the_rest(speech) -> None:
    example = asked(speech, RIGHT, hints=["Miles Davis", "kitchen"])
    near, far = (HINTS.parse(text) for text in ("miles davis in a kitchen.", "play miles Davies"))
    scores = HINTS.score([near, far], [example.reference] * 2)
    assert scores["hinted_words"] == pytest.approx(2 / 4)
    assert scores["hinted_wer"] == pytest.approx((2 + 4) / 12)
    perfect = HINTS.parse(example.target)
    assert set(HINTS.score([perfect], [example.reference]).values()) == {0.0}


def test_a_clip_without_a_word_to_hint_at_is_not_asked(speech) -> None:
    assert HINTS.missing(speech(text="it is so")) == "it has no word to hint at"
    lone = Ask(random.Random(0), texts=("play Miles Davis",))
    assert set(HINTS.faults(speech(text="play Miles Davis"), lone)) == {WRONG}


def test_a_difference_is_between_the_same_clips() -> None:
    references = ["one", "two", "three", "four"] * 10
    worse = ["one", "no", "three", "no"] * 10
    value, low, high = bootstrap_difference("accuracy", (worse, references), references, 200)
    assert value == 0.5 and 0.2 < low < 0.5 < high < 0.8
    assert bootstrap_difference("accuracy", (worse, worse), references, 200) == (0, 0, 0)
