"""Scored answers: their probabilities, how far these are meant, and when it is better not to answer."""

from __future__ import annotations

import json

import pytest

from speechverse.decoding import DecodingOptions
from speechverse.errors import UserError
from speechverse.evaluation import EvaluationSettings, evaluate, load_results, write_report
from speechverse.evaluation.calibration import (
    Judged,
    Scored,
    choose_threshold,
    thresholds_of,
)
from speechverse.evaluation.provenance import describe_split
from speechverse.metrics import score
from speechverse.metrics.calibration import Believed
from speechverse.tasks import get_task
from speechverse.types import Answer, Example, shares_of

SCORED = EvaluationSettings(
    tasks=("er", "asr"),
    systems=("speechverse",),
    num_resamples=20,
    decoding=DecodingOptions(max_new_tokens=4, choice_mode="score"),
)


def test_a_probability_is_a_choices_share_among_all() -> None:
    assert shares_of({"a": -1000.0, "b": -1000.0})["b"] == pytest.approx(0.5)
    assert shares_of({"a": 0.0, "b": -50.0})["a"] == pytest.approx(1.0)


def test_ece_is_the_gap_between_probability_and_accuracy_weighed_by_answers() -> None:
    sure, unsure = Believed("x", 0.95), Believed("x", 0.62)
    references = ["x", "x", "x", "y", "x", "y"]
    believed = [sure] * 4 + [unsure] * 2
    expected = 4 / 6 * abs(0.95 - 0.75) + 2 / 6 * abs(0.62 - 0.5)
    assert score(["ece"], believed, references)["ece"] == pytest.approx(expected)
    assert score(["ece"], [Believed("x", 1.0)], ["x"])["ece"] == 0


def test_answers_that_are_held_back_cost_coverage_and_no_accuracy() -> None:
    given = score(["coverage", "answered_accuracy"], ["x", None, "x", None], ["x", "x", "y", "y"])
    assert given == {"coverage": 0.5, "answered_accuracy": 0.5}
    nothing = score(["coverage", "answered_accuracy"], [None], ["x"])
    assert nothing == {"coverage": 0.0, "answered_accuracy": 0.0}


def test_intervals_are_over_clips_however_often_each_was_asked(corpus) -> None:
    clips, names = corpus.utterances("test")[:4], ("happy", "sad")
    examples = [
        Example(f"{clip.id}/{asking}", clip, "er", "Which?", "happy", "happy", choices=names)
        for clip in clips
        for asking in range(20)
    ]
    sure = {"happy": {"happy": 0.0, "sad": -1.0}, "sad": {"happy": -1.0, "sad": 0.0}}
    said = ["happy" if example.utterance in clips[:2] else "sad" for example in examples]
    answers = [Answer(name, sure[name]) for name in said]
    scored = Scored(get_task("er"), "s", examples, answers, num_samples=200, seed=0)
    _, covered, right = scored.scores({"er/s": 0.1})
    assert covered.value == 1.0 and right.value == 0.5
    assert (right.low, right.high) == (0.0, 1.0), "of four clips all may be of one kind"


def test_a_threshold_is_the_lowest_that_keeps_enough_right_answers() -> None:
    judged = [Judged(p, right) for p, right in ((0.9, True), (0.8, True), (0.7, False))]
    assert choose_threshold(judged, wanted=0.9) == 0.8
    assert choose_threshold(judged, wanted=0.6) == 0.7
    assert choose_threshold([Judged(0.9, False)], wanted=0.9) is None
    tied = [Judged(0.8, True), Judged(0.8, False), Judged(0.8, False)]
    assert choose_threshold(tied, wanted=0.9) is None, "what is equally sure cannot be told apart"


def test_scored_tasks_have_a_reliability_table_on_the_page_and_in_the_results(
    loaded, corpus, tmp_path
):
    results = evaluate(*loaded, corpus, SCORED, output=tmp_path)
    [found] = load_results(tmp_path).calibrations
    assert (found.task, found.system) == ("er", "speechverse")
    assert sum(count for count, _, _ in found.bins) == results.tasks[0].num_examples
    assert found.curve[-1][1] == 1.0 and len(found.curve) == 10
    assert 0 <= results.score("er", "speechverse", "ece").value <= 1
    page = write_report(tmp_path).read_text()
    assert "<h2>Reliability" in page and "ECE " in page
    free = EvaluationSettings(tasks=("er",), systems=("speechverse",), num_resamples=20)
    assert not evaluate(*loaded, corpus, free).calibrations


def test_a_threshold_from_validation_holds_answers_back(loaded, corpus, tmp_path):
    evaluate(*loaded, corpus, SCORED, output=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    scored = [line for line in lines if "choice_scores" in line]
    surest = max(shares_of(line["choice_scores"])[line["answer"]] for line in scored)
    for line in scored:
        is_surest = shares_of(line["choice_scores"])[line["answer"]] == surest
        line["reference"] = line["answer"] if is_surest else "another"
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "answers.jsonl").write_text(text)
    thresholds = thresholds_of(tmp_path, SCORED.decoding)
    assert thresholds == {"er/speechverse": surest}
    for others in ({"choice_scoring": "raw"}, {"choice_mode": "constrain"}):
        with pytest.raises(UserError, match="give --choices score --scoring length"):
            thresholds_of(tmp_path, SCORED.decoding.changed(**others))
    with pytest.raises(UserError, match="from all labels, not 3: .* same --choices-per-prompt"):
        thresholds_of(tmp_path, SCORED.decoding, choices_per_prompt=3)
    here = load_results(tmp_path)
    with pytest.raises(UserError, match="chosen on these same clips.*--split dev"):
        thresholds_of(tmp_path, SCORED.decoding, measured=describe_split(corpus, "test"))
    path = tmp_path / "results.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "model": {"fingerprint": "one"}}))
    assert load_results(tmp_path).corpus == here.corpus
    with pytest.raises(UserError, match="are of another model"):
        thresholds_of(tmp_path, SCORED.decoding, model="other")
    assert thresholds_of(tmp_path, SCORED.decoding, model="one") == thresholds
    tested = EvaluationSettings(
        tasks=("er",),
        systems=("speechverse",),
        num_resamples=20,
        decoding=SCORED.decoding,
        thresholds=thresholds,
    )
    results = evaluate(*loaded, corpus, tested)
    covered = results.score("er", "speechverse", "coverage")
    assert 0 < covered.value <= 1
    (tmp_path / "answers.jsonl").write_text("")
    with pytest.raises(UserError, match="have no scores; .* --choices score"):
        thresholds_of(tmp_path, SCORED.decoding)
