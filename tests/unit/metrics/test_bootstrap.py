"""Intervals hold their value, narrow with more examples, repeat with the seed, and cost little."""

from __future__ import annotations

import random

import numpy as np
import pytest

from speechverse.errors import UserError
from speechverse.metrics import FAULTS_OF_FORM, METRICS, Metric, bootstrap

WORDS = "turn on the radio in my kitchen now please stop".split()

OF_OTHER_FORMS = {"requests_met", "taken_up", "ece", "coverage", "answered_accuracy"} | {
    name for name in METRICS if METRICS[name].part
}
"""Metrics whose predictions or references are no plain answers; tested where they are used."""


def sample(name: str, num: int) -> tuple[list, list]:
    """Answers of which a share is wrong, in the form the metric takes."""
    rng = random.Random(num)
    sentences = [rng.sample(WORDS, 6) for _ in range(num)]
    heard = [[word if rng.random() < 0.8 else "what" for word in words] for words in sentences]
    if name in ("wer", "bleu"):
        return [" ".join(words) for words in heard], [" ".join(words) for words in sentences]
    if name == "keyword_f1":
        return [tuple(words) for words in heard], [tuple(words) for words in sentences]
    if name.startswith(("slu_f1", "sd_f1")):
        as_slots = [
            [tuple(zip(words[::2], words[1::2], strict=True)) for words in side]
            for side in (heard, sentences)
        ]
        return as_slots[0], as_slots[1]
    return [words[0] for words in heard], [words[0] for words in sentences]


@pytest.mark.parametrize("name", sorted(set(METRICS) - {*FAULTS_OF_FORM} - OF_OTHER_FORMS))
def test_interval_holds_the_value_and_narrows(name: str) -> None:
    few, many = (bootstrap(name, *sample(name, num), num_samples=200) for num in (30, 300))
    assert few.low < few.value < few.high
    assert many.low < many.value < many.high
    assert many.high - many.low < few.high - few.low
    assert many.value == METRICS[name].value(*sample(name, 300))


def test_same_seed_same_interval() -> None:
    predictions, references = sample("uar", 50)
    first = bootstrap("uar", predictions, references, seed=1)
    assert first == bootstrap("uar", predictions, references, seed=1)
    assert first != bootstrap("uar", predictions, references, seed=2)


def test_interval_of_a_share_is_the_binomial_one() -> None:
    interval = bootstrap("accuracy", ["yes"] * 800 + ["no"] * 200, ["yes"] * 1000, num_samples=4000)
    assert interval.low == pytest.approx(0.8 - 1.96 * (0.16 / 1000) ** 0.5, abs=0.003)
    assert interval.high == pytest.approx(0.8 + 1.96 * (0.16 / 1000) ** 0.5, abs=0.003)


def test_no_resamples_gives_the_value_alone() -> None:
    assert bootstrap("accuracy", ["yes", "no"], ["yes", "yes"], num_samples=0) == (0.5, 0.5, 0.5)


def test_what_is_asked_of_one_clip_is_resampled_together():
    right, wrong = ["yes"] * 2, ["no"] * 2
    predictions, clips = (right + wrong) * 20, [f"{n // 2}" for n in range(80)]
    apart = bootstrap("accuracy", predictions, ["yes"] * 80)
    together = bootstrap("accuracy", predictions, ["yes"] * 80, clips=clips)
    assert together.value == apart.value == 0.5
    assert together.high - together.low > 1.2 * (apart.high - apart.low)
    alone = [str(n) for n in range(80)]
    assert bootstrap("accuracy", predictions, ["yes"] * 80, clips=alone) == apart


def test_a_metric_that_gives_no_number_is_told() -> None:
    def rate(sums: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return sums[..., 0] / sums[..., 1]

    mine = Metric("mine", "Mine", lambda p, r: np.zeros((len(p), 2)), rate)
    for num_samples in (0, 100):
        with pytest.raises(UserError, match="'mine' gives no number"):
            bootstrap(mine, ["a"], ["a"], num_samples)
