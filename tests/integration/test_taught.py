"""A model that has learned something gives right answers, by itself and as a cascade; what is
measured says so.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from running import speechverse
from speechverse.tasks import get_task
from taught import EMOTIONS, INTENTS, Taught, say


@pytest.fixture(scope="module")
def scores(
    taught: Taught, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str, str], float]:
    """(task, system, metric) → value, on clips that were not trained on, as the run's own recipe
    evaluates.
    """
    output = tmp_path_factory.mktemp("evaluated")
    asked = (
        "--systems",
        "speechverse,cascade-whisper,cascade,oracle,majority",
        "--output",
        output,
        "--json",
    )
    told = json.loads(speechverse("evaluate", taught.model, *asked).stdout)
    rows = [score for score in told["scores"] if score["slice"] == "all"]
    return {(score["task"], score["system"], score["metric"]): score["value"] for score in rows}


def test_it_writes_down_what_is_said(scores: dict) -> None:
    assert scores["asr", "speechverse", "wer"] <= 0.1
    assert scores["asr", "cascade-whisper", "wer"] <= 0.1


def test_it_tells_what_is_wanted_as_who_reads_the_words_does(scores: dict) -> None:
    assert scores["ic", "speechverse", "accuracy"] >= 0.9
    assert scores["ic", "cascade-whisper", "accuracy"] >= 0.9 <= scores["ic", "oracle", "accuracy"]
    assert scores["ic", "majority", "accuracy"] < 0.5


def test_it_hears_how_something_is_said_which_no_words_tell(scores: dict) -> None:
    assert scores["er", "speechverse", "uar"] >= 0.9
    assert scores["er", "oracle", "uar"] < 0.8


def test_a_clip_of_one_s_own_is_answered_from_the_command_line(
    taught: Taught, tmp_path: Path
) -> None:
    clip = say(tmp_path / "mine.wav", "stop radio", "happy", seed=99).audio.path
    choices = {"asr": (), "ic": INTENTS.values(), "er": EMOTIONS}
    answers = []
    for task, allowed in choices.items():
        instruction = next(wording for wording in get_task(task).prompts.seen if "{" not in wording)
        limits = ("--choices", ",".join(allowed)) if allowed else ()
        answers.append(
            speechverse("ask", clip, instruction, *limits, "--model", taught.model).stdout.strip()
        )
    assert answers == ["stop radio", "halt", "happy"]
