"""F1 of slot filling: SLU-F1 of the SLURP corpus, which forgives near transcripts, and SD-F1 on
slot names alone.

Source: Bastianelli et al. 2020, "SLURP: A Spoken Language Understanding Resource Package", and the
definition in its evaluation scripts (github.com/pswietojanski/slurp, scripts/evaluation/metrics).
Written anew from that definition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from speechverse.metrics.types import UNPARSED, import_eval

if TYPE_CHECKING:
    import numpy as np

Slot = tuple[str, str]
"""Name and value."""

Distance = Callable[[str, str], float]
"""(true value, predicted value) to a distance; 0 is equal."""


def slu_confusion(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """True positives, false positives and false negatives by word distance plus those by character
    distance, (N, 3).
    """
    import numpy as np

    word_distance, character_distance = _distances()
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        by_word = _soft_confusion(_slots(prediction), reference, word_distance)
        by_character = _soft_confusion(_slots(prediction), reference, character_distance)
        rows.append([w + c for w, c in zip(by_word, by_character, strict=True)])
    return np.asarray(rows, dtype=np.float64)


def label_confusion(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """True positives, false positives and false negatives of slot names, values apart, shape (N,
    3).
    """
    import numpy as np

    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        predicted, true = (
            Counter(name for name, _ in slots) for slots in (_slots(prediction), reference)
        )
        found = (predicted & true).total()
        rows.append([found, predicted.total() - found, true.total() - found])
    return np.asarray(rows, dtype=np.float64)


def f1(sums: np.ndarray) -> np.ndarray:
    """Micro-averaged F1, shape (..., 3) to (...); 1 where nothing was to be found
    and nothing was.
    """
    import numpy as np

    true_positives, false_positives, false_negatives = np.moveaxis(sums, -1, 0)
    total = 2 * true_positives + false_positives + false_negatives
    return np.where(total > 0, 2 * true_positives / np.where(total > 0, total, 1), 1.0)


def _slots(prediction: Any) -> Sequence[Slot]:
    return () if prediction is UNPARSED else prediction


def _soft_confusion(
    predicted: Sequence[Slot], true: Sequence[Slot], distance: Distance
) -> tuple[float, float, float]:
    """Each prediction, in order, takes the nearest true slot left of its name; its distance is both
    kinds of error.
    """
    remaining = list(true)
    true_positives = false_positives = false_negatives = 0.0
    for name, value in predicted:
        candidates = [
            (distance(slot[1], value), index)
            for index, slot in enumerate(remaining)
            if slot[0] == name
        ]
        if not candidates:
            false_positives += 1
            continue
        nearest, index = min(candidates)
        del remaining[index]
        true_positives += 1
        false_positives += nearest
        false_negatives += nearest
    return true_positives, false_positives, false_negatives + len(remaining)


def _distances() -> tuple[Distance, Distance]:
    """Word error rate (above 1 where words are many too many, as in SLURP), and edits over the
    longer length.
    """
    levenshtein = import_eval("rapidfuzz.distance").Levenshtein

    def by_word(true: str, predicted: str) -> float:
        words = true.split()
        return levenshtein.distance(words, predicted.split()) / max(1, len(words))

    return by_word, levenshtein.normalized_distance
