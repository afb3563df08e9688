"""Hints, evaluated from end to end on random parts."""

from __future__ import annotations

from speechverse.decoding import DecodingOptions
from speechverse.evaluation import EvaluationSettings, evaluate, load_answers
from speechverse.evaluation.table import results_table


def test_hints_are_measured_over_the_same_clips_with_their_differences(loaded, corpus, tmp_path):
    settings = EvaluationSettings(
        tasks=("hints",),
        systems=("speechverse",),
        num_resamples=50,
        decoding=DecodingOptions(max_new_tokens=8),
    )
    results = evaluate(*loaded, corpus, settings, output=tmp_path)
    ways = ("no hints", "right hints", "wrong hints")
    for metric in ("hinted_words", "hinted_wer"):
        plain, right, wrong = (
            results.score("hints", "speechverse", metric, f"group: {way}") for way in ways
        )
        assert plain.num_examples == right.num_examples == wrong.num_examples == 4
        gained = results.score("hints", "speechverse", metric, "difference: right hints − no hints")
        assert abs(gained.value - (right.value - plain.value)) < 1e-9
        assert gained.low <= gained.value <= gained.high
    answers = load_answers(tmp_path)
    assert [answer.instruction.count("\nHints: ") for answer in answers] == [0, 1, 1] * 4
    assert [row for row in results_table(results).columns[0].cells] == [
        "hints",
        *(f"  {way}" for way in ways),
    ]
