"""Answers paired: the difference and its test, two folders of results, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from running import speechverse
from speechverse.data import Corpus
from speechverse.errors import UserError
from speechverse.evaluation import EvaluationSettings, ledger
from speechverse.evaluation.comparison import compare_folders, questions_of
from speechverse.evaluation.provenance import describe_split
from speechverse.evaluation.results import (
    AnswerRecord,
    Paired,
    Results,
    TaskReport,
    load_results,
    save_results,
)
from speechverse.metrics import METRICS, paired_difference

SETTINGS = {"wording": "seen", "seed": 0, "decoding": {"num_beams": 1, "max_batch": 8}}


def folder_of(
    place, right, corpus="abc", instruction="which?", version=1, reference="yes", choices=None,
    count=12, split="test", system="speechverse", **settings,
):  # fmt: skip
    """Results of a system that was right on so many of a dozen questions."""
    report = TaskReport("ic", "Intent", version, ("accuracy",), 12, {})
    about = {"name": "noises", "split": split, "manifest_sha256": corpus}
    results = Results(
        {"name": "m", "fingerprint": place.name}, about, SETTINGS | settings,
        {system: "the model"}, [report], [], [], created="2026-11-29",
    )  # fmt: skip
    records = [
        AnswerRecord(
            f"u{number}/ic", "ic", system, (), instruction, reference, "", False,
            float(number < right), choices=choices, statistics={"accuracy": (float(number < right), 1.0)},
        )
        for number in range(count)
    ]  # fmt: skip
    save_results(place, results, records)
    return place


def test_pairs_tell_more_than_two_intervals_and_swapping_them_tests_the_difference():
    base = np.column_stack([np.arange(40) % 2, np.ones(40)]).astype(float)
    better = base.copy()
    better[:8, 0] = 1  # four that were wrong are right now, nothing else changes
    found = paired_difference("accuracy", base, better, 500)
    assert found.value == pytest.approx(0.1)
    assert 0 < found.low <= found.value <= found.high
    assert 0.05 < found.p_value < 0.25  # all four on one side: 2 of 16 swaps
    assert paired_difference("accuracy", base, base, 500) == (0, 0, 0, 1)
    back = paired_difference("accuracy", better, base, 500)
    assert (back.value, back.p_value) == (-found.value, found.p_value)


def test_the_interval_of_pairs_is_that_of_their_spread():
    base = np.column_stack([np.zeros(1000), np.ones(1000)])
    more = base.copy()
    more[:300, 0] = 1
    found = paired_difference("accuracy", base, more, 4000)
    assert found.value == pytest.approx(0.3)
    half = 1.96 * (0.3 * 0.7 / 1000) ** 0.5
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half), abs=0.004)


def test_two_folders_are_paired_question_by_question(tmp_path):
    one, other = folder_of(tmp_path / "a", 3), folder_of(tmp_path / "b", 12)
    [(task, metric, pair)] = compare_folders(one, other)
    assert (task, metric, pair.num_examples) == ("ic", "accuracy", 12)
    assert pair.difference.value == pytest.approx(0.75) and pair.difference.p_value < 0.01
    told = speechverse("evaluate", "--compare", one, other).stdout
    assert "+75.0" in told and "12" in told
    [row] = json.loads(speechverse("evaluate", "--compare", one, other, "--json").stdout)
    assert row["second"]["value"] == 1
    refused = speechverse("evaluate", "small", "--compare", one, other, "--tasks", "ic", status=2)
    assert "leave out MODEL, --tasks" in " ".join(refused.stderr.split())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"corpus": "xyz"}, "data: manifest is abc in the one, xyz in the other"),
        ({"wording": "held_out"}, "prompts: wording"),
        ({"version": 2}, "prompts: version of task ic"),
        ({"instruction": "what?"}, "prompts: the instruction of u0/ic differs"),
        ({"decoding": {"num_beams": 4}}, "decoding: num_beams is 1 in the one, 4 in the other"),
        ({"split": "dev"}, "data: split is test in the one, dev in the other"),
        ({"reference": "no"}, "data: the reference of u0/ic differs"),
        ({"count": 11}, "data: 1 questions are in one alone, such as u11/ic"),
        ({"choices": ("yes", "no")}, "prompts: the choices of u0/ic differs"),
        ({"seed": 1}, "prompts: seed is 0 in the one, 1 in the other"),
        ({"choices_per_prompt": 8}, "prompts: choices_per_prompt"),
        ({"descriptions": True}, "prompts: descriptions"),
    ],
)
def test_results_that_were_not_asked_alike_are_refused_and_told_why(tmp_path, changes, told):
    one, other = folder_of(tmp_path / "a", 3), folder_of(tmp_path / "b", 4, **changes)
    with pytest.raises(UserError, match=told):
        compare_folders(one, other)


def test_any_system_of_the_one_is_compared_with_any_of_the_other(tmp_path):
    one, other = folder_of(tmp_path / "a", 3), folder_of(tmp_path / "b", 12, system="oracle")
    [(_, _, pair)] = compare_folders(one, other, ("speechverse", "oracle"))
    assert (pair.first.value, pair.second.value) == (0.25, 1.0)
    asked = "evaluate", "--compare", one, other, "--systems", "speechverse,oracle", "--json"
    [row] = json.loads(speechverse(*asked).stdout)
    assert (row["first"]["value"], row["second"]["value"]) == (0.25, 1.0)
    with pytest.raises(UserError, match="no task that 'oracle' answers"):
        compare_folders(one, other, ("oracle", "oracle"))


def test_how_answers_were_batched_does_not_matter(tmp_path):
    one = folder_of(tmp_path / "a", 3)
    other = folder_of(tmp_path / "b", 4, decoding={"num_beams": 1, "max_batch": 64})
    assert compare_folders(one, other)


def test_tasks_that_one_side_alone_measured_are_no_hindrance(tmp_path):
    one, other = folder_of(tmp_path / "a", 3), folder_of(tmp_path / "b", 4)
    results = json.loads((other / "results.json").read_text())
    results["signatures"] = {"wer": "jiwer 4"}
    (other / "results.json").write_text(json.dumps(results))
    assert compare_folders(one, other)
    results = json.loads((one / "results.json").read_text())
    results["signatures"] = {"wer": "jiwer 5"}
    (one / "results.json").write_text(json.dumps(results))
    with pytest.raises(UserError, match="signature of wer is jiwer 5"):
        compare_folders(one, other)


def test_class_sets_that_differ_are_refused_and_named(tmp_path):
    one, other = folder_of(tmp_path / "a", 3), folder_of(tmp_path / "b", 4)
    for folder, names in ((one, ["call", "play"]), (other, ["call", "stop"])):
        results = json.loads((folder / "results.json").read_text())
        results["tasks"][0]["classes"] = {"accuracy": names}
        (folder / "results.json").write_text(json.dumps(results))
    with pytest.raises(UserError, match=r"\(call, play\) and .* \(call, stop\) count over other"):
        compare_folders(one, other)


def test_every_look_at_a_test_split_is_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    results = load_results(folder_of(tmp_path / "a", 3))
    assert "was measured on 1 time, with 1 model " in ledger.record(results)
    other = replace(results, model={"name": "n", "fingerprint": "other"})
    assert "was measured on 2 times, with 2 models" in ledger.record(other)
    dev = replace(results, corpus={**results.corpus, "split": "dev"})
    assert ledger.record(dev) == ""
    elsewhere = replace(results, corpus={**results.corpus, "manifest_sha256": "xyz"})
    assert "was measured on 1 time, with 1 model " in ledger.record(elsewhere)
    assert "was measured on 3 times, with 2 models" in ledger.record(other)
    assert len(ledger.ledger_file().read_text().splitlines()) == 5


def test_a_ledger_in_the_home_of_nobody_loses_no_measurement(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "~nosuchuser/state")
    told = ledger.record(load_results(folder_of(tmp_path / "a", 3)))
    assert "could not be recorded" in told and "set XDG_STATE_HOME to a folder" in told


def test_two_jsonl_files_of_one_name_are_two_test_sets(tmp_path, corpus):
    clip = corpus.utterances("test")[0].audio.path
    told = []
    for text in ("one", "two"):
        file = tmp_path / text / "people.jsonl"
        file.parent.mkdir()
        file.write_text(json.dumps({"id": "a", "audio": str(clip), "text": text}) + "\n")
        told.append(describe_split(Corpus.from_jsonl("people", {"test": file}), "test"))
    assert told[0]["manifest_sha256"] != told[1]["manifest_sha256"]


def test_an_evaluation_pairs_the_model_with_every_other_system(tmp_path, loaded, corpus):
    from speechverse.evaluation import evaluate

    settings = EvaluationSettings(tasks=("er",), systems=("speechverse", "oracle"), limit=4)
    results = evaluate(*loaded, corpus, settings)
    [pair] = results.paired
    names, *_ = results.tasks[0].classes.values()  # which name the columns of UAR's statistics
    assert {*names} <= {"happy", "sad", "angry", "neutral"} and list(names) == sorted(names)
    assert (pair.system, pair.other, pair.num_examples) == ("speechverse", "oracle", 4)
    scores = [results.score("er", name).value for name in (pair.system, pair.other)]
    assert pair.value == pytest.approx(scores[0] - scores[1])


def test_the_same_for_all_of_few_pairs_is_not_beyond_doubt():
    def paired(number):
        base = np.column_stack([np.zeros(number), np.ones(number)])
        found = paired_difference("accuracy", base, base + [1, 0], 500)
        return Paired("ic", "speechverse", "majority", "accuracy", *found, number)

    assert [paired(number).is_clear for number in (1, 3, 12)] == [False, False, True]


def test_metrics_of_joint_tasks_are_known_wherever_results_are_read(tmp_path, monkeypatch):
    place = folder_of(tmp_path / "a", 3)
    report = TaskReport("asr+ic", "Both", 1, ("ic_accuracy",), 12, {})
    save_results(place, replace(load_results(place), tasks=[report]), [])
    monkeypatch.setattr(METRICS, "own", {})  # as in a process that has asked nothing
    load_results(place)
    assert METRICS["ic_accuracy"].part == "ic"


def test_results_of_anybody_run_no_code(tmp_path):
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    spec = f"{tmp_path / 'evil.py'}:X"
    place = folder_of(tmp_path / "a", 3, tasks=[spec])
    report = TaskReport("asr+gone", "Both", 1, ("gone_metric",), 12, {})
    save_results(place, replace(load_results(place), tasks=[report]), [])
    assert load_results(place).tasks[0].name == "asr+gone"
    for named in (
        TaskReport("ic", "Intent", 1, (spec,), 12, {}),
        TaskReport(f"asr+{spec}", "Both", 1, ("accuracy",), 12, {}),
        TaskReport(f"asr+{tmp_path / 'mine.yaml'}", "Both", 1, ("accuracy",), 12, {}),
        TaskReport("mine.yaml+asr", "Both", 1, ("accuracy",), 12, {}),
    ):
        save_results(place, replace(load_results(place), tasks=[report]), [])
        results = replace(load_results(place), tasks=[named])
        save_results(place, results, [])
        with pytest.raises(UserError, match="names .*, which is a file"):
            compare_folders(place, place)
        save_results(place, replace(results, tasks=[report]), [])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("answers.jsonl", None),
        ("answers.jsonl", '{"example": "u0/ic", "ta'),
        ("results.json", '{"schema": 2}'),
    ],
)
def test_results_that_are_not_whole_are_told_in_words(tmp_path, name, content):
    one, other = folder_of(tmp_path / "a", 3), folder_of(tmp_path / "b", 4)
    (other / name).unlink()
    if content is not None:
        (other / name).write_text(content)
    with pytest.raises(UserError, match=rf"b/{name}' is damaged or not whole .*evaluate` again"):
        compare_folders(one, other)


def test_what_is_asked_of_one_clip_is_told_by_its_own_id():
    def record(variant):
        return AnswerRecord(
            f"c1/follow/{variant}", "follow", "speechverse", (), "", "", "", False, 1.0,
            utterance="c1",
        )  # fmt: skip

    asked = [record("follow"), record("a/follow-up")]
    assert list(questions_of(asked, "follow", "speechverse")) == ["c1/follow", "c1/a/follow-up"]
