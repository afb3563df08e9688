"""Hints: words that may be heard go with an instruction; in training some are said and some are
not.
"""

from __future__ import annotations

import random

import pytest

from speechverse.errors import UserError
from speechverse.tasks import Ask, get_task
from speechverse.tasks.hints import draw_hints, with_hints

TEXTS = (
    "play Miles Davis in the kitchen",
    "order some Synthroid today",
    "the weather in Yorkshire",
    "open it",
)


def asked(name: str, speech, seed: int, **how) -> str:
    return (
        get_task(name)
        .render(speech(text=TEXTS[0]), Ask(random.Random(seed), texts=TEXTS, **how))
        .instruction
    )


def test_hints_stand_behind_the_instruction() -> None:
    assert (
        with_hints("Transcribe the audio.", ["Synthroid ", "York"])
        == "Transcribe the audio.\nHints: Synthroid, York"
    )
    assert with_hints("Transcribe the audio.", []) == "Transcribe the audio."
    with pytest.raises(UserError, match="a hint is empty"):
        with_hints("Transcribe the audio.", ["York", " "])
    with pytest.raises(UserError, match="give a list of words"):
        with_hints("Transcribe the audio.", "York")


def test_what_is_no_text_is_told() -> None:
    with pytest.raises(UserError, match="an instruction is a list; give text"):
        with_hints(["x"], ())
    with pytest.raises(UserError, match="a hint is 3; give words"):
        with_hints("x", [3])
    assert with_hints(" ", ["York"]) == " "


def test_right_hints_are_written_as_the_text_is_and_come_among_wrong_ones() -> None:
    draws = [draw_hints(random.Random(seed), TEXTS[0], TEXTS) for seed in range(200)]
    right = [[hint for hint in hints if hint in TEXTS[0]] for hints in draws]
    assert {hint for hints in right for hint in hints} == {"play", "Miles", "Davis", "kitchen"}
    assert {hint for hints in draws for hint in hints} >= {"Synthroid", "Yorkshire"}
    assert 0.1 < sum(not hints for hints in right) / len(right) < 0.5, (
        "now and then nothing of it is said"
    )


def test_only_recognition_is_hinted_at_in_training_and_as_often_as_wanted(speech) -> None:
    hinted = sum("\nHints: " in asked("asr", speech, seed, hinted=0.5) for seed in range(100))
    assert 35 < hinted < 65
    assert not any("Hints:" in asked("asr", speech, seed) for seed in range(30))
    assert not any(
        "Hints:" in asked("asr", speech, seed, hinted=1.0, training=False) for seed in range(30)
    )
    assert not any("Hints:" in asked("er", speech, seed, hinted=1.0) for seed in range(30))
