"""Open requests: new to any model, right answers and wrong ones told apart by a program."""

from __future__ import annotations

import random

import pytest

from speechverse.instructions import kinds
from speechverse.tasks import UNPARSED, Ask, get_task, task_names
from speechverse.tasks.open_checks import JUDGED, Said
from speechverse.tasks.open_ended import requests
from task_check import alike

TEXT = "Please play some Miles Davis in the kitchen tonight."
OTHER = "The weather in Yorkshire will be cold and rather wet."
OPEN, SHOWN = get_task("open"), get_task("open-shown")


def asked(speech, kind: str, seed: int = 0, task=OPEN):
    return task.render(speech(text=TEXT), Ask(random.Random(seed)), kind)


def is_met(example, answer: str) -> bool:
    return OPEN.score([OPEN.parse(answer)], [example.reference])["requests_met"] == 1


@pytest.mark.parametrize("kind", requests("checked"))
def test_a_right_answer_is_right_and_that_to_another_clip_is_not(kind, speech) -> None:
    example = asked(speech, kind)
    assert example.group == kind and "{" not in example.instruction.replace('{"text"', "")
    assert is_met(example, example.target)
    assert not is_met(example, JUDGED[kind].answer(Said(OTHER)))
    assert not is_met(example, "") and OPEN.parse(" ") is UNPARSED


@pytest.mark.parametrize("kind", [kind for kind in requests("checked") if kind != "punctuated"])
def test_the_bare_transcript_is_no_answer(kind, speech) -> None:
    assert not is_met(asked(speech, kind), TEXT)


@pytest.mark.parametrize(
    ("kind", "answer", "right"),
    [
        ("punctuated", "Please play some Miles Davis in the chicken tonight!", True),
        ("punctuated", "please play some miles davis in the kitchen tonight", False),
        ("bulleted", "* please\n* play\n* some\n* miles\n* davis\n* in\n* the\n* kitchen", True),
        ("bulleted", "- please play some miles davis in the kitchen tonight", False),
        ("numbered", "1. please\n3. play\n2. some\n4. miles\n5. davis\n6. in\n7. the", False),
        ("json", '{"text": "please play some miles davis in the kitchen tonight"}', True),
        ("json", '{"text": "please play some miles davis in the kitchen tonight", "a": 1}', False),
        ("third_word", "Some.", True),
        ("third_word", "The third word is some.", False),
        ("continued", "some miles", True),
        ("without_first", "play some Miles Davis in the kitchen tonight", True),
        ("five_words", "Miles Davis in the kitchen", True),
        ("five_words", "Jazz music for dinner", False),
        ("headline", "Miles Davis plays tonight", True),
        ("headline", "Miles Davis plays tonight.", False),
        ("operator", "Copy that: please play some miles davis in the kitchen", True),
        ("operator", "Copy that.", False),
    ],
)
def test_form_and_content_are_both_judged(kind, answer, right, speech) -> None:
    assert is_met(asked(speech, kind), answer) == right


def test_nothing_of_the_suite_is_trained_on() -> None:
    trained = [
        wording
        for section in kinds().values()
        for kind in section.values()
        for wording in kind.wordings
    ] + [wording for name in (*task_names(), "class", "joint") for wording in _seen(name)]
    suite = {kind: requests(part)[kind] for part in ("checked", "shown") for kind in requests(part)}
    assert not set(suite) & {name for section in kinds().values() for name in section}
    for wording in (one for wordings in suite.values() for one in wordings):
        nearest = max(trained, key=lambda other: alike(wording, other))
        assert alike(wording, nearest) < 0.8, (wording, nearest)


def _seen(name: str) -> tuple[str, ...]:
    return get_task("asr+ic" if name == "joint" else name).prompts.seen


def test_every_request_that_is_judged_has_a_judge_and_several_wordings() -> None:
    assert set(requests("checked")) == set(JUDGED)
    assert all(
        len(wordings) >= 2 for part in ("checked", "shown") for wordings in requests(part).values()
    )


def test_a_clip_is_asked_a_few_kinds_the_same_each_time(speech) -> None:
    clip = speech(text=TEXT)
    assert len(OPEN.variants(clip)) == 4 and OPEN.variants(clip) == OPEN.variants(clip)
    assert len(SHOWN.variants(clip)) == 1
    assert OPEN.missing(speech(text="play it")) == "it has fewer than 5 words"


def test_what_is_shown_only_is_scored_by_whether_it_speaks_of_the_clip(speech) -> None:
    example = asked(speech, "reply", task=SHOWN)
    given = [SHOWN.parse(text) for text in ("In the kitchen? Gladly!", "Hello, how are you?")]
    assert SHOWN.score(given, [example.reference] * 2)["taken_up"] == 0.5
