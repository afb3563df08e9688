"""Tasks by name, the user's own from a file, and what a wrong name or file gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from speechverse.errors import TaskError, UserError
from speechverse.metrics import UNPARSED, get_metric
from speechverse.tasks import PromptSet, get_task, task_names
from task_check import validate_task

OWN_TASK = """
from speechverse.tasks import LabelSet, OneOf, PromptSet, Task, parse_label

OPENERS = {"what", "who", "where", "when", "how", "is", "can", "does"}
QUESTION = Task(
    name="question",
    title="Is it a question?",
    group="own",
    prompts=PromptSet(seen=("Is the speaker asking a question?",), held_out=("Does this want an answer? {labels}",)),
    requires=("text",),
    target=lambda utterance: "yes" if utterance.text.split()[0] in OPENERS else "no",
    parser=parse_label,
    labels=LabelSet("is_question", {"yes": "asks something", "no": "asks nothing"}),
    constraint=OneOf,
    metrics=("balanced_accuracy",),
)
"""


def test_the_eleven_tasks() -> None:
    assert task_names() == ("asr", "st", "ic", "sf", "kwe", "kws", "er", "asc", "ac", "sc", "sns")
    assert [get_task(name).group for name in task_names()] == ["asr"] + ["slu"] * 5 + ["psp"] * 5


def test_a_task_asked_by_name_alone_is_found_and_is_none_of_all() -> None:
    assert get_task("class").name == "class" and "class" not in task_names()
    with pytest.raises(TaskError, match="did you mean 'class'"):
        get_task("clas")


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(
        TaskError, match=r"unknown task 'arc'; did you mean 'a.+given as path/to/file.py:NAME"
    ):
        get_task("arc")


@pytest.mark.parametrize("name", ["x.py:QUESTION", "x.yaml"])
def test_a_file_in_the_home_of_nobody_is_not_there(name: str) -> None:
    with pytest.raises(TaskError, match="~nosuchuser/x"):
        get_task(f"~nosuchuser/{name}")


def test_own_task_from_a_file(tmp_path: Path, speech, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_tasks.py").write_text(OWN_TASK)
    monkeypatch.chdir(tmp_path)
    task = get_task("my_tasks.py:QUESTION")
    validate_task(task, speech(text="who plays in the kitchen"))
    assert get_task("question") is task and "question" in task_names()
    get_task(f"{tmp_path}/my_tasks.py:QUESTION")  # the same file again is no clash


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("absent.py:QUESTION", None, "no Python file"),
        ("my_tasks.py:QUESTIONS", OWN_TASK, "unknown task 'QUESTIONS'; did you mean 'QUESTION'"),
        (
            "my_tasks.py:QUESTION",
            "import nothing_of_the_kind",
            "could not be run: ModuleNotFoundError",
        ),
        (
            "my_tasks.py:QUESTION",
            OWN_TASK.replace('"question"', '"asr"'),
            "the name 'asr' .* is taken",
        ),
        ("my_tasks.py:QUESTION", OWN_TASK.replace("balanced_", "balance_"), "did you mean"),
    ],
)
def test_what_is_wrong_with_an_own_task(
    name: str, code: str | None, says: str, tmp_path: Path
) -> None:
    if code is not None:
        (tmp_path / "my_tasks.py").write_text(code)
    with pytest.raises(Exception, match=says) as caught:
        get_task(f"{tmp_path}/{name}")
    assert "Error" in type(caught.value).__name__ and caught.type.__module__ == "speechverse.errors"


OWN_METRIC = """
from __future__ import annotations

from dataclasses import dataclass

from speechverse.metrics import Metric
from speechverse.tasks import PromptSet, Task

SAME_LENGTH = Metric.mean_of("same_length", "as many words", lambda said, true: len(said.split()) == len(true.split()))

@dataclass(frozen=True, kw_only=True)
class Counting(Task):
    unit: str = "words"

COUNTED = Counting(
    name="counted", title="Counted words", group="own", prompts=PromptSet(seen=("What is said?",)),
    requires=("text",), target=lambda utterance: utterance.text, metrics=(SAME_LENGTH, "wer"),
)
"""


def test_an_own_task_brings_a_metric_of_its_own(tmp_path: Path, speech) -> None:
    (tmp_path / "mine.py").write_text(OWN_METRIC)
    task = get_task(f"{tmp_path}/mine.py:COUNTED")
    validate_task(task, speech(text="who plays in the kitchen"))
    assert task.metrics == ("same_length", "wer")
    assert task.score(["one two", "one", UNPARSED], ["a b", "a b", "a"])[
        "same_length"
    ] == pytest.approx(1 / 3)
    assert get_metric("same_length").label == "as many words"
    get_task(f"{tmp_path}/mine.py:COUNTED")  # the same file again is no clash
    (tmp_path / "other.py").write_text(OWN_METRIC.replace('"counted"', '"other"'))
    with pytest.raises(
        UserError,
        match="the name 'same_length' of .*other.py is taken by .*mine.py; give your metric",
    ):
        get_task(f"{tmp_path}/other.py:COUNTED")


def test_prompt_files(tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("# a note\n[seen]\nIs it a question?\n\n[held-out]\nDoes it ask?\n")
    assert PromptSet.load(own) == PromptSet(("Is it a question?",), ("Does it ask?",))
    own.write_bytes(b"\xef\xbb\xbf" + own.read_bytes())
    assert PromptSet.load(own).seen == ("Is it a question?",)
    own.write_text("[seen]\nIst das schön?\n", encoding="latin-1")
    with pytest.raises(TaskError, match=r"own.txt' is not UTF-8: byte 0xf6 in line 2"):
        PromptSet.load(own)
    own.write_text("Is it a question?\n")
    with pytest.raises(TaskError, match="line 1: 'Is it a question\\?' is not under"):
        PromptSet.load(own)
    with pytest.raises(TaskError, match="not found"):
        PromptSet.load("nowhere")
    with pytest.raises(TaskError, match="occur twice"):
        PromptSet(("Is it?",), ("Is it?",))
    with pytest.raises(TaskError, match="no held-out instructions"):
        PromptSet(("Is it?",)).wordings("held_out")


def test_tasks_and_metrics_import_without_the_heavy_libraries() -> None:
    code = (
        "import sys, speechverse.tasks as t; [t.get_task(n) for n in t.task_names()]; print([m for"
        " m in ('torch', 'jiwer', 'sacrebleu', 'sklearn', 'transformers') if m in"
        " sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_copies_of_a_file_are_one_for_its_metrics_too(tmp_path: Path) -> None:
    code = OWN_TASK.replace('"question"', '"asked"').replace(
        "QUESTION = ",
        """
from speechverse.metrics import METRICS, Metric
METRICS.add(Metric.mean_of("heard_it", "Heard", lambda one, other: float(one == other)))
ASKED = """,
    )
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(code)
        assert get_task(f"{tmp_path / folder / 'mine.py'}:ASKED").name == "asked"
    (tmp_path / "other.py").write_text(code + "# another")
    with pytest.raises(UserError, match="'heard_it' .* is taken"):
        get_task(f"{tmp_path / 'other.py'}:ASKED")


def test_a_file_s_path_may_hold_a_plus(tmp_path: Path) -> None:
    (tmp_path / "c++").mkdir()
    file = tmp_path / "c++" / "gist.yaml"
    file.write_text("name: c_gist\nfield: gist\ninstructions: {seen: [Sum it up.]}\n")
    assert get_task(str(file)).name == "c_gist"
