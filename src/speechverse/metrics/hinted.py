"""How many of the words that an instruction hints at are written, whatever stands round them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from speechverse.metrics.normalize import normalizer_for, separate_unspaced
from speechverse.metrics.types import UNPARSED, Languages

if TYPE_CHECKING:
    import numpy as np


def hinted_word_errors(
    predictions: Sequence[Any], references: Sequence[str], languages: Languages
) -> np.ndarray:
    """Words of each reference that are not in its prediction, and how many it has, shape (N, 2).

    Both sides are normalised as for WER; a word of several parts must stand together.

    Args:
        references: The words that count, a line each.
    """
    import numpy as np

    rows = [
        _missed(prediction, reference, language)
        for prediction, reference, language in zip(predictions, references, languages, strict=True)
    ]
    return np.asarray(rows, dtype=np.float64)


def _missed(prediction: Any, reference: str, language: str | None) -> tuple[int, int]:
    rule = normalizer_for(reference, language)
    lines = map(separate_unspaced, map(rule, reference.splitlines()))
    words = [word for word in lines if word]
    written = "" if prediction is UNPARSED else separate_unspaced(rule(prediction))
    return sum(f" {word} " not in f" {written} " for word in words), len(words)
