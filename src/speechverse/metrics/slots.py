"""F1 of slot filling: SLU-F1 of the SLURP corpus, which forgives near transcripts, and SD-F1 on
slot names alone.

Source: Bastianelli et al. 2020, "SLURP: A Spoken Language Understanding Resource Package", and the
definition in its evaluation scripts (github.com/pswietojanski/slurp, scripts/evaluation/metrics).
Written anew from that definition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from speechverse.metrics.types import UNPARSED, import_eval

Slot = tuple[str, str]
"""Name and value."""

Distance = Callable[[str, str], float]
"""(true value, predicted value) to a distance; 0 is equal."""


def word_confusion(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """True positives, false positives and false negatives by word distance, (N, 3)."""
    return _confusions(_distances()[0], predictions, references)


def character_confusion(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """The same by character distance, (N, 3)."""
    return _confusions(_distances()[1], predictions, references)


def slu_confusion(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """Both together, (N, 3)."""
    return word_confusion(predictions, references) + character_confusion(predictions, references)


def label_confusion(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """True and false positives and false negatives of slot names, values apart, (N, 3)."""
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        sides = _slots(prediction), reference
        predicted, true = (Counter(name for name, _ in slots) for slots in sides)
        found = (predicted & true).total()
        rows.append([found, predicted.total() - found, true.total() - found])
    return np.asarray(rows, dtype=np.float64)


def f1(sums: np.ndarray) -> np.ndarray:
    """Micro-averaged F1, shape (..., 3) to (...); 1 where nothing was to be found nor was."""
    true_positives, false_positives, false_negatives = np.moveaxis(sums, -1, 0)
    total = 2 * true_positives + false_positives + false_negatives
    return np.where(total > 0, 2 * true_positives / np.where(total > 0, total, 1), 1.0)


def _slots(prediction: Any) -> Sequence[Slot]:
    return () if prediction is UNPARSED else prediction


def _confusions(
    distance: Distance, predictions: Sequence[Any], references: Sequence[Any]
) -> np.ndarray:
    pairs = zip(predictions, references, strict=True)
    return np.asarray([_soft_confusion(_slots(p), r, distance) for p, r in pairs], np.float64)


def _soft_confusion(
    predicted: Sequence[Slot], true: Sequence[Slot], distance: Distance
) -> tuple[float, float, float]:
    """Each prediction, in order, takes the nearest true slot left of its name; its distance is both
    kinds of error.
    """
    remaining, matched, distances = list(true), 0, 0.0
    for name, value in predicted:
        same_name = [(i, said) for i, (other, said) in enumerate(remaining) if other == name]
        if same_name:
            nearest, index = min((distance(said, value), i) for i, said in same_name)
            del remaining[index]
            matched, distances = matched + 1, distances + nearest
    return matched, len(predicted) - matched + distances, len(remaining) + distances


def _distances() -> tuple[Distance, Distance]:
    """Word error rate (above 1 where words are many too many, as in SLURP), and edits over the
    longer length.
    """
    levenshtein = import_eval("rapidfuzz.distance").Levenshtein

    def by_word(true: str, predicted: str) -> float:
        words = true.split()
        return levenshtein.distance(words, predicted.split()) / max(1, len(words))

    return by_word, levenshtein.normalized_distance
