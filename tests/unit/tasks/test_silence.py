"""Where nobody speaks there is nothing to write."""

from __future__ import annotations

import random

import pytest

from speechverse.errors import TaskError
from speechverse.tasks import Ask, get_task, task_names

SILENCE = get_task("silence")


def test_a_clip_without_speech_has_an_empty_transcript_asked_for_in_recognitions_words(
    speech,
) -> None:
    clip = speech(text="", is_speech=False)
    example = SILENCE.render(clip, Ask(random.Random(0)))
    assert example.target == ""
    assert example.instruction in get_task("asr").prompts.seen
    assert (
        SILENCE.parse("", None) == example.reference
        and SILENCE.parse("You.", None) != example.reference
    )


def test_a_clip_with_speech_is_not_asked(speech) -> None:
    with pytest.raises(TaskError, match="somebody speaks"):
        SILENCE.render(speech(), Ask(random.Random(0)))


def test_it_is_asked_by_name_alone(speech) -> None:
    assert "silence" not in task_names([speech(text="", is_speech=False)])
