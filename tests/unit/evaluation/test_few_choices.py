"""A closed task asked with a few of its labels: what is listed, for whom, and what
is kept of it.
"""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from running import run_here
from speechverse.audio import Waveform, save
from speechverse.data import Corpus, render_for_evaluation, write_corpus
from speechverse.errors import TaskError, UserError
from speechverse.evaluation import EvaluationSettings, evaluate, load_answers
from speechverse.evaluation.few_choices import with_few_choices
from speechverse.tasks import LabelSet, Task, get_task
from speechverse.types import AudioRef, Example, Utterance

EXAMPLE = Path(__file__).parents[3] / "examples" / "unseen_labels" / "measure.py"
NEW = tuple(f"new_{number}" for number in range(10))
OLD = tuple(f"old_{number}" for number in range(30))


@pytest.fixture(scope="module")
def corpus_of_new(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Requests of ten new intents; the label set has thirty others."""
    folder = tmp_path_factory.mktemp("new")
    noise = save(folder / "noise.wav", Waveform(np.full(1600, 0.1, dtype=np.float32)))
    clips = [
        Utterance(f"{name}-{number}", AudioRef(noise), 0.1, "do it", labels={"intent": name})
        for name in NEW
        for number in range(12)
    ]
    labels = {"intent": LabelSet("intent", {name: f"to {name}" for name in (*NEW, *OLD)})}
    return write_corpus(folder, "new", {"test": clips}, labels=labels)


def few(corpus: Corpus, count: int = 8, seed: int = 0, limit: int | None = None) -> list[Example]:
    task = get_task("ic")
    examples = render_for_evaluation(corpus, "test", task, wording="seen", limit=limit, seed=seed)
    return with_few_choices(task, examples, corpus, "test", count, "seen", seed)


def test_each_clip_lists_its_own_label_among_others_that_occur_in_the_split(
    corpus_of_new: Corpus,
) -> None:
    for example in few(corpus_of_new):
        assert len(set(example.choices)) == 8 and example.target in example.choices
        assert set(example.choices) <= set(NEW), "being new would tell the right one"
        assert all(name in example.instruction for name in example.choices)


def test_where_too_few_occur_the_rest_of_the_set_fills_up(corpus_of_new: Corpus) -> None:
    for example in few(corpus_of_new, 14):
        assert set(NEW) < set(example.choices) and len(set(example.choices)) == 14


def test_descriptions_on_or_off_leave_all_else_as_it_was(corpus_of_new: Corpus) -> None:
    how = {"wording": "seen", "limit": 9}
    bare, described = (
        with_few_choices(
            get_task("ic"),
            render_for_evaluation(corpus_of_new, "test", "ic", **how),
            corpus_of_new,
            "test",
            8,
            "seen",
            0,
            share,
        )
        for share in (0.0, 1.0)
    )
    for one, other in zip(bare, described, strict=True):
        assert one.choices == other.choices and one.instruction != other.instruction
        plain = other.instruction.replace(";", ",")
        for name in other.choices:
            plain = plain.replace(f"{name}: to {name}", name)
        assert plain == one.instruction


def test_slots_are_listed_with_all_of_a_clips_own(tmp_path: Path) -> None:
    noise = save(tmp_path / "noise.wav", Waveform(np.full(1600, 0.1, dtype=np.float32)))
    names = [f"slot{number}" for number in range(30)]
    clips = [
        Utterance(
            name, AudioRef(noise), 0.1, "a b", labels={"slots": [[name, "a"], ["slot0", "b"]]}
        )
        for name in names[1:9]
    ]
    corpus = write_corpus(tmp_path, "slots", {"test": clips}, labels={"slots": names})
    task = get_task("sf")
    examples = render_for_evaluation(corpus, "test", task, wording="seen")
    for example in with_few_choices(task, examples, corpus, "test", 4, "seen", 0):
        assert len(set(example.choices)) == 4
        assert {name for name, _ in example.reference} <= set(example.choices)
        assert all(name in example.instruction for name in example.choices)


def test_the_place_in_the_list_does_not_tell(corpus_of_new: Corpus) -> None:
    places = Counter(example.choices.index(example.target) for example in few(corpus_of_new))
    assert set(places) == set(range(8)) and max(places.values()) < 2 * 120 / 8


def test_a_list_depends_on_the_seed_and_the_clip_alone(corpus_of_new: Corpus) -> None:
    everyone = {example.id: example for example in few(corpus_of_new)}
    assert all(everyone[example.id] == example for example in few(corpus_of_new, limit=9))
    other = few(corpus_of_new, seed=1)
    assert (
        sum(everyone[example.id].choices == example.choices for example in other) < len(other) / 10
    )


def test_a_task_with_few_labels_or_none_is_asked_as_it_was(corpus: Corpus) -> None:
    for name in ("asr", "er"):
        task = get_task(name)
        examples = render_for_evaluation(corpus, "test", task, wording="seen")
        assert with_few_choices(task, examples, corpus, "test", 8, "seen", 0) == examples


def test_a_task_that_cannot_list_its_labels_says_so(corpus_of_new: Corpus) -> None:
    task: Task = get_task("ic")
    bare = replace(task, prompts=replace(task.prompts, seen=("What is wanted?",)))
    examples = render_for_evaluation(corpus_of_new, "test", task, wording="seen")
    with pytest.raises(TaskError, match="no seen instruction of task 'ic' lists its labels"):
        with_few_choices(bare, examples, corpus_of_new, "test", 8, "seen", 0)


def test_an_evaluation_lists_a_few_and_keeps_which(
    loaded: Any, corpus: Corpus, tmp_path: Path
) -> None:
    systems = ("speechverse", "oracle", "majority")
    settings = EvaluationSettings(
        tasks=("ic",), systems=systems, num_resamples=50, choices_per_prompt=3
    )
    results = evaluate(*loaded, corpus, settings, output=tmp_path)
    for record in load_answers(tmp_path):
        assert (
            len(record.choices) == 3
            and record.answer in record.choices
            and record.reference in record.choices
        )
        assert re.search("|".join(record.choices), record.instruction)
    assert results.score("ic", "oracle") is not None and results.score("ic", "majority") is None
    assert (
        "ic by majority: not measured: each clip has a list of its own, and it reads none"
        in results.notes
    )
    assert results.settings["choices_per_prompt"] == 3


def test_a_list_of_one_is_refused() -> None:
    with pytest.raises(UserError, match="at least 2"):
        EvaluationSettings(choices_per_prompt=1)


def test_the_example_measures_corpora_by_every_way_and_rule(
    checkpoint: Path,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = corpus.utterances("test")[0].audio.path.parents[2]

    def in_this_process(command: list[str], **_: Any) -> Any:
        assert command[1:3] == ["-m", "speechverse"]
        return run_here(*command[3:])

    monkeypatch.setattr(subprocess, "run", in_this_process)
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    asked = [
        checkpoint,
        folder,
        "--size",
        "3",
        "--systems",
        "speechverse,oracle",
        "--words",
        folder,
        "--device",
        "cpu",
    ]
    monkeypatch.setattr(sys, "argv", ["measure.py", *map(str, asked), "--output", str(tmp_path)])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()[1:]]
    printed = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    ways = {"speechverse": {"greedy", "scored", "prior subtracted"}}
    ways["oracle"] = ways["speechverse"] | {"word overlap", "word vectors"}
    assert {(line[1], line[2], line[3]) for line in printed} == {
        (stratum, system, way)
        for stratum in ("grammar", "names")
        for system in ways
        for way in ways[system]
    }
    by_words = {line[1]: float(line[4]) for line in printed if line[3] == "word overlap"}
    assert by_words == {
        "grammar": 100.0,
        "names": 100.0,
    }, "each sentence says a word of its own intent's name alone"


def test_a_fault_of_the_example_s_evaluation_is_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda command, **_: run_here(*command[3:]))
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    monkeypatch.setattr(
        sys, "argv", ["measure.py", str(tmp_path / "none"), str(tmp_path / "absent")]
    )
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(EXAMPLE), run_name="__main__")
