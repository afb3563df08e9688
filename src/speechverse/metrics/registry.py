"""All metrics by name, and the bootstrap over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from speechverse.errors import UserError
from speechverse.metrics import calibration, classes, hinted, slots, text
from speechverse.metrics.types import Interval, Languages, Metric, mean
from speechverse.registry import Registry

RESAMPLE_BLOCK = 4_000_000
"""Drawn counts held at once; bounds the memory of a bootstrap over many examples."""

_ERRORS: dict[str, Any] = {
    "higher_is_better": False,
    "by_language": True,
    "signature": text.wer_signature,
}
_BLEU: dict[str, Any] = {"percent": False, "signature": text.bleu_signature}
_RECALL = classes.hits_per_class, classes.mean_recall
_CHRF: dict[str, Any] = {"percent": False, "signature": text.chrf_signature}

_BUILT_IN = (
    Metric("wer", "WER", text.word_errors, text.error_rate, **_ERRORS),
    Metric(
        *("cer", "CER", text.character_errors, text.error_rate),
        **{**_ERRORS, "signature": text.cer_signature},
    ),
    Metric("bleu", "BLEU", text.ngram_counts, text.bleu, **_BLEU),
    Metric("chrf", "chrF", text.character_ngram_counts, text.chrf, **_CHRF),
    Metric(
        *("hinted_words", "hinted words wrong", hinted.hinted_word_errors, text.error_rate),
        higher_is_better=False,
        by_language=True,
        part="words",
    ),
    Metric("hinted_wer", "WER", text.word_errors, text.error_rate, part="text", **_ERRORS),
    Metric("accuracy", "accuracy", classes.hits, mean),
    Metric("balanced_accuracy", "balanced accuracy", *_RECALL, by_class=True),
    Metric("uar", "UAR", *_RECALL, by_class=True),
    Metric("keyword_f1", "macro F1", classes.set_f1, mean),
    Metric("macro_f1", "macro F1", classes.confusion_per_class, classes.mean_f1, by_class=True),
    Metric("slu_f1", "SLU-F1", slots.slu_confusion, slots.f1),
    Metric("slu_f1_word", "word F1", slots.word_confusion, slots.f1),
    Metric("slu_f1_char", "character F1", slots.character_confusion, slots.f1),
    Metric("sd_f1", "SD-F1", slots.label_confusion, slots.f1),
    Metric("requests_met", "requests met", classes.met, mean),
    Metric("taken_up", "a word of the clip taken up", classes.met, mean),
    Metric(
        *("ece", "ECE", calibration.binned, calibration.expected_calibration_error),
        higher_is_better=False,
        signature=lambda: f"{calibration.NUM_BINS} bins of one width|softmax over the choices",
    ),
    Metric("coverage", "answered", calibration.held_back, calibration.coverage),
    Metric(
        *("answered_accuracy", "right of answered"),
        *(calibration.held_back, calibration.answered_accuracy),
    ),
    Metric("unparsed_rate", "unparsed", classes.unparsed, mean, higher_is_better=False),
    Metric("cut_rate", "cut", classes.cut, mean, higher_is_better=False),
)

METRICS: Registry[Metric] = Registry(
    "metric", {metric.name: metric for metric in _BUILT_IN}, lambda value: isinstance(value, Metric)
)
"""`balanced_accuracy` and `uar` are one number under the two names its fields know it by."""

FAULTS_OF_FORM = ("unparsed_rate", "cut_rate")
"""What is counted of every task beside its own metrics."""


def get_metric(name: str) -> Metric:
    """The metric of that name or of a user's `file.py:NAME`; a UserError names the nearest one
    otherwise.
    """
    return METRICS[name]


def score(
    names: Iterable[str],
    predictions: Sequence[Any],
    references: Sequence[Any],
    languages: Languages | None = None,
) -> dict[str, float]:
    """Values of several metrics, by name, over the same examples; error rates go by the language of
    each reference.
    """
    return {name: get_metric(name).value(predictions, references, languages) for name in names}


def bootstrap(
    metric: str | Metric,
    predictions: Sequence[Any],
    references: Sequence[Any],
    num_samples: int = 1000,
    seed: int = 0,
    languages: Languages | None = None,
    clips: Sequence[str] | None = None,
) -> Interval:
    """A value with its 95 % percentile bootstrap interval, clips resampled with replacement.

    Args:
        num_samples: Number of resamples; 0 gives an interval that is the value itself.
        seed: The same seed resamples every metric of N examples alike.
        languages: Of each reference, which error rates go by; None where none is known.
        clips: What each example is about: those of one clip are resampled together. None if each
            is about a clip of its own.
    """
    metric = get_metric(metric) if isinstance(metric, str) else metric
    statistics = metric.compute_statistics(predictions, references, languages)
    return interval_of(metric, by_clip(statistics, clips), num_samples, seed)


def by_clip(statistics: np.ndarray, clips: Sequence[str] | None) -> np.ndarray:
    """The statistics (N, K) of examples summed over those of one clip, in order of first
    appearance: what is asked of one clip stands or falls together.
    """
    if clips is None:
        return statistics
    places = {clip: place for place, clip in enumerate(dict.fromkeys(clips))}
    summed = np.zeros((len(places), statistics.shape[1]), statistics.dtype)
    np.add.at(summed, [places[clip] for clip in clips], statistics)
    return summed


def interval_of(
    metric: Metric, statistics: np.ndarray, num_samples: int = 1000, seed: int = 0
) -> Interval:
    """The value of statistics (N, K) with its 95 % interval; see `bootstrap`."""
    value = float(metric.finish(statistics.sum(axis=0)))
    values = np.array([value])
    if num_samples:
        values = resampled_values(metric, statistics, num_samples, seed)
    if not (np.isfinite(value) and np.isfinite(values).all()):
        raise UserError(
            f"metric '{metric.name}' gives no number for some draws of the answers, which may lack"
            " a class: have its `finish` divide by no zero"
        )
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def resampled_values(
    metric: Metric, statistics: np.ndarray, num_samples: int, seed: int
) -> np.ndarray:
    """Values of resamples of the statistics (N, K), shape (num_samples,); the same N and seed are
    resampled alike.
    """
    rng = np.random.default_rng(seed)
    num_examples = len(statistics)
    shares = np.full(num_examples, 1 / num_examples)
    block = max(1, RESAMPLE_BLOCK // num_examples)
    values = []
    for start in range(0, num_samples, block):
        counts = rng.multinomial(num_examples, shares, size=min(block, num_samples - start))
        values.append(metric.finish(counts.astype(np.float64) @ statistics))
    return np.concatenate(values)
