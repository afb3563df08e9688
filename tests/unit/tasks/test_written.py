"""A task written as YAML: what it may say, what is read of it, and what is wrong told in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechverse.data.labels import gather_names
from speechverse.errors import TaskError
from speechverse.tasks import OneOf, Task, TaskQuestion, get_task
from task_check import validate_task

QUESTION = """
name: asks
field: is_question
labels:
  "yes": something is asked
  "no": nothing is asked
instructions:
  seen: ['Does the speaker ask something?', 'Is it a question? {labels}']
  held_out: ['Is an answer wanted?']
metrics: [balanced_accuracy]
"""


@pytest.fixture
def written(tmp_path: Path):
    def read(text: str, name: str = "mine.yaml") -> Task:
        (tmp_path / name).write_text(text)
        return get_task(str(tmp_path / name))

    return read


def test_labels_close_the_answers_and_a_truth_value_is_yes_or_no(written, speech) -> None:
    task = written(QUESTION)
    for value, label in ((True, "yes"), (False, "no")):
        examples = validate_task(task, speech(is_question=value))
        assert {example.target for example in examples} == {label}
    assert task.constraint is OneOf and task.metrics == ("balanced_accuracy",)
    assert task.missing(speech()) == "it has no label 'is_question'"
    assert get_task("asks") is task
    assert written(QUESTION.replace("Is an answer", "Is a reply")).prompts.held_out == (
        "Is a reply wanted?",
    ), "the file read anew replaces what it said before"


def test_an_answer_may_be_text_or_a_list(written, speech) -> None:
    summary = "name: gist\nfield: summary\ninstructions: {seen: [Sum it up.]}\n"
    [example] = {
        e.target: e for e in validate_task(written(summary), speech(summary="Jazz, please"))
    }
    assert example == "Jazz, please" and get_task("gist").metrics == ("chrf",)
    things = "name: things\nfield: things\nanswer: list\ninstructions: {seen: ['Which things?']}\n"
    task = written(things, "things.yaml")
    [example] = {e.target: e for e in validate_task(task, speech(things=["jazz", "kitchen"]))}
    assert example == "jazz, kitchen" and task.parse("none") == ()
    with pytest.raises(TaskError, match="'things' is 'jazz', not a list of words"):
        validate_task(task, speech(things="jazz"))


def test_without_labels_of_its_own_it_takes_the_corpuss(written, speech, inventory) -> None:
    own = "name: wish\nfield: intent\nanswer: label\ninstructions: {seen: ['Which? {labels}']}\n"
    examples = validate_task(written(own), speech(), inventory)
    assert examples[0].choices == ("play_music", "set_alarm")


@pytest.mark.parametrize(
    ("values", "names"), [([3, 1, 2, "1"], ("1", "2", "3")), ([True, False], ("no", "yes"))]
)
def test_numbers_and_truth_values_of_the_corpus_close_the_answers(
    written, speech, values, names
) -> None:
    own = "name: q\nfield: q\nanswer: label\ninstructions: {seen: ['Which? {labels}']}\n"
    task, labels = written(own), gather_names((({"q": value}, "") for value in values), ["q"])
    assert labels["q"].names == names
    for value in values:
        for example in validate_task(task, speech(q=value), labels):
            assert example.choices == names and example.target in names


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("field:", "feild:", r"feild: unknown key; did you mean 'field'"),
        (
            "  held_out:",
            "  heldout:",
            r"instructions.heldout: unknown key; did you mean 'held_out'",
        ),
        ("balanced_accuracy", "balance_accuracy", "did you mean 'balanced_accuracy'"),
        ('"yes":', "yes:", "put it in quotes"),
        ("{labels}", "{label}", "unknown placeholder 'label'; did you mean 'labels'"),
        ("name: asks", "name: asr", "the name 'asr' .* is taken"),
        ("name: asks", "answer: list\nname: asks", "an answer that is a list has none"),
        ("name: asks\n", "", "name: is missing"),
        ("seen: ['Does", "seen: [1, 'Does", "instructions.seen.0: input should be a valid string"),
    ],
)
def test_what_is_wrong_is_told(written, old: str, new: str, says: str) -> None:
    assert old in QUESTION
    with pytest.raises(Exception, match=says) as caught:
        written(QUESTION.replace(old, new))
    assert caught.type.__module__ == "speechverse.errors"


def test_a_file_that_is_not_there_or_no_task_is_told(written, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"the task '.*absent.yaml' cannot be read"):
        get_task(str(tmp_path / "absent.yaml"))
    with pytest.raises(TaskError, match="is no mapping of keys"):
        written("- a\n- b\n")


def test_a_task_is_a_question_about_any_clip(written) -> None:
    task = written(QUESTION)
    asked = TaskQuestion.of(task.name)
    assert asked.instruction == "Does the speaker ask something?"
    assert tuple(asked.choices or ()) == ("yes", "no")
