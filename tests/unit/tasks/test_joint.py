"""Tasks asked jointly: one answer with a part for each, read and scored part by part."""

from __future__ import annotations

import random

import pytest

from speechverse.errors import TaskError
from speechverse.metrics import UNPARSED
from speechverse.tasks import Ask, get_task
from task_check import validate_task


@pytest.mark.parametrize("name", ["asr+ic", "asr+kwe", "asr+er", "ic+sf", "asr+st", "asr+kws"])
def test_every_wording_of_joint_tasks_is_asked_and_answered_rightly(
    name, speech, inventory
) -> None:
    examples = validate_task(get_task(name), speech(), inventory)
    assert len({example.instruction for example in examples}) >= 20


def test_tasks_stand_under_headings_in_their_order_and_the_form_is_told(speech) -> None:
    example = get_task("asr+kwe").render(speech(), Ask(random.Random(0)))
    first, second = (
        example.instruction.index("=== Task: ASR ==="),
        example.instruction.index("=== Task: KWE ==="),
    )
    assert first < second < example.instruction.rindex("ASR: ... | KWE: ... |")
    assert example.target == "ASR: play miles davis in the kitchen | KWE: miles davis, kitchen |"


def test_an_answer_is_read_part_by_part(speech) -> None:
    task = get_task("asr+er")
    example = task.render(speech(), Ask(random.Random(0)))

    def read(text: str):
        return task.parse(text, example.choices)

    assert read("asr: play it |er: Happiness") == {"asr": "play it", "er": "happy"}
    assert read("ASR: play it | ER: a person |") == {"asr": "play it", "er": UNPARSED}
    assert read("play it") is UNPARSED, "nothing stands under a heading"


def test_each_part_is_scored_by_its_own_metrics_and_the_last_is_the_headline(speech) -> None:
    task = get_task("asr+kwe")
    right = task.render(speech(), Ask(random.Random(0))).reference
    answers = [
        task.parse(text)
        for text in ("ASR: play miles davis in the kitchen | KWE: kitchen |", "KWE: kitchen |")
    ]
    scores = task.score(answers, [right, right])
    assert task.metrics[0] == "kwe_keyword_f1"
    assert scores["kwe_keyword_f1"] == pytest.approx(2 / 3) and scores["asr_wer"] == pytest.approx(
        0.5
    )
    assert (
        scores["asr_unparsed_rate"] == 0.5
        and scores["kwe_unparsed_rate"] == scores["unparsed_rate"] == 0
    )


def test_the_order_of_the_names_is_the_order_of_the_answers(speech) -> None:
    forward, backward = get_task("asr+kwe"), get_task("kwe+asr")
    target = backward.render(speech(), Ask(random.Random(0))).target
    assert target.startswith("KWE:")
    assert forward.parse(target) == backward.parse(target), (
        "whatever order an answer is in, it is read"
    )


def test_a_joint_task_is_no_transcript_whatever_its_parts(speech) -> None:
    assert {get_task(name).group for name in ("asr+er", "kwe+asr")} == {"joint"}, (
        "CTC learns transcripts and labels"
    )
    assert get_task("asr+er").is_about_the_voice and not get_task("asr+kwe").is_about_the_voice
    said, german = speech(), get_task("asr+st").variants(speech())[0]
    assert (
        get_task("asr+st")
        .answer(said, {}, german)
        .endswith("| ST: spiele miles davis in der küche |")
    )


def test_a_bar_within_an_answer_ends_no_part(speech) -> None:
    example = get_task("asr+kwe").render(speech(text="either | or"), Ask(random.Random(0)))
    assert example.target.startswith("ASR: either, or | KWE:")


def test_what_one_task_lacks_the_joint_one_lacks(speech) -> None:
    task = get_task("asr+ic")
    assert task.missing(speech(intent=None)) == "it has no label 'intent'"
    with pytest.raises(
        TaskError, match="'asr\\+ic' cannot be asked of utterance 'u1': it has no label 'intent'"
    ):
        task.render(speech(intent=None), Ask(random.Random(0)))


def test_names_that_make_no_joint_task_are_refused() -> None:
    for name, says in (
        ("asr+", "unknown task ''"),
        ("asr+asr", "two or more different"),
        ("asr+inten", "inten"),
    ):
        with pytest.raises(TaskError, match=says):
            get_task(name)


def test_parts_on_lines_of_their_own_are_read_apart() -> None:
    assert get_task("asr+kwe").parse("ASR: some jazz\nplease\nkwe: jazz") == {
        "asr": "some jazz please",
        "kwe": ("jazz",),
    }


def test_a_joint_task_is_another_where_a_part_is() -> None:
    parts = [get_task(name).version for name in ("asr", "kwe")]
    assert get_task("asr+kwe").version == sum(parts)


def test_a_task_that_reads_an_answer_twice_is_no_part() -> None:
    with pytest.raises(TaskError, match="'hints' reads an answer in two ways"):
        get_task("asr+hints")
