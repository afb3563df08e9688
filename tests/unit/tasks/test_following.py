"""Instruction following: an utterance is asked its own instructions."""

from __future__ import annotations

import random

import pytest

from speechverse.errors import TaskError
from speechverse.tasks import Ask, get_task, task_names

OWN = [
    {"instruction": "Spell the last word.", "answer": "k-i-t-c-h-e-n", "kind": "spelled"},
    {"instruction": "Give it a title.", "answer": "Miles at Home", "kind": "headline"},
    {"instruction": "Say {this} in capitals.", "answer": "PLAY MILES DAVIS IN THE KITCHEN"},
]
FOLLOW = get_task("follow")


def test_an_utterance_is_asked_its_own_instructions_and_each_has_its_own_answer(speech) -> None:
    clip = speech(instructions=OWN)
    assert FOLLOW.variants(clip) == ("spelled", "headline", "3"), (
        "a kind, or a number where there is none"
    )
    for variant, own in zip(FOLLOW.variants(clip), OWN, strict=True):
        example = FOLLOW.render(clip, Ask(random.Random(0)), variant)
        assert (example.instruction, example.target) == (own["instruction"], own["answer"])
        assert example.id == f"u1/follow/{variant}"


def test_two_instructions_of_one_kind_are_told_apart_by_number(speech) -> None:
    clip = speech(instructions=[{**OWN[0]}, {**OWN[1], "kind": "spelled"}])
    assert FOLLOW.variants(clip) == ("1", "2")


def test_held_out_wordings_wrap_the_instruction(speech) -> None:
    asked = Ask(random.Random(0), wording="held_out")
    example = FOLLOW.render(speech(instructions=OWN), asked, "headline")
    assert (
        OWN[1]["instruction"] in example.instruction
        and example.instruction != OWN[1]["instruction"]
    )


@pytest.mark.parametrize(
    ("given", "says"), [(None, "no label 'instructions'"), ([], "'instructions' is empty")]
)
def test_an_utterance_without_instructions_is_not_asked(speech, given, says) -> None:
    with pytest.raises(TaskError, match=says):
        FOLLOW.render(speech(instructions=given), Ask(random.Random(0)))


def test_it_is_among_all_tasks_only_where_there_are_instructions(speech) -> None:
    assert "follow" not in task_names() and "follow" not in task_names([speech()])
    assert task_names([speech(), speech(instructions=OWN)])[-1] == "follow"
