"""Accuracy, recall averaged over classes, and F1 of keyword sets.

Legend of shapes: N examples, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from speechverse.metrics.types import UNPARSED, with_count
from speechverse.types import CUT


def hits(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """Whether each prediction is right, and a one to count it by, shape (N, 2)."""
    return with_count([float(p == r) for p, r in zip(predictions, references, strict=True)])


def met(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """Whether each reference says that it is met, and a one to count it by, shape (N, 2)."""
    return with_count([float(r.is_met_by(p)) for p, r in zip(predictions, references, strict=True)])


def unparsed(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """Whether each answer could not be read, and a one to count it by, shape (N, 2)."""
    return with_count([float(p is UNPARSED) for p in predictions])


def cut(endings: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """Whether each answer was cut, by why it ended (`types.Ended`), and a one, shape (N, 2)."""
    return with_count([float(ended in CUT) for ended in endings])


def set_f1(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """F1 between predicted and true set of each example, and a one to count it by, shape (N, 2).

    Averaged over examples this is the macro F1 of keyword extraction. Two empty sets agree.
    """
    return with_count([_f1_of_sets(p, r) for p, r in zip(predictions, references, strict=True)])


def hits_per_class(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """Right answers, then examples, of each class among the references, shape (N, 2C)."""
    classes = {name: index for index, name in enumerate(sorted(set(references)))}
    statistics = np.zeros((len(references), 2 * len(classes)))
    for row, (prediction, reference) in enumerate(zip(predictions, references, strict=True)):
        statistics[row, classes[reference]] = prediction == reference
        statistics[row, len(classes) + classes[reference]] = 1
    return statistics


def mean_recall(sums: np.ndarray) -> np.ndarray:
    """Unweighted average recall (UAR) over the classes that occur, shape (..., 2C) to (...)."""
    right, counts = np.split(sums, 2, axis=-1)
    present = counts > 0
    recalls = np.where(present, right / np.where(present, counts, 1), 0)
    return recalls.sum(axis=-1) / present.sum(axis=-1)


def confusion_per_class(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """Right answers, then examples, then answers of each class among the references, (N, 3C)."""
    classes = {name: index for index, name in enumerate(sorted(set(references)))}
    answers = np.zeros((len(references), len(classes)))
    for row, prediction in enumerate(predictions):
        if prediction in classes:
            answers[row, classes[prediction]] = 1
    return np.hstack([hits_per_class(predictions, references), answers])


def mean_f1(sums: np.ndarray) -> np.ndarray:
    """Macro F1 over the classes that occur, shape (..., 3C) to (...)."""
    right, counts, answers = np.split(sums, 3, axis=-1)
    present = counts > 0
    f1 = np.where(present, 2 * right / np.where(present, counts + answers, 1), 0)
    return f1.sum(axis=-1) / present.sum(axis=-1)


def _f1_of_sets(prediction: Any, reference: Any) -> float:
    if prediction is UNPARSED:
        return 0.0
    predicted, true = set(prediction), set(reference)
    if not predicted and not true:
        return 1.0
    return 2 * len(predicted & true) / (len(predicted) + len(true))
