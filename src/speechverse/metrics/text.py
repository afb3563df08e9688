"""Error rates through jiwer, BLEU and chrF through sacrebleu: statistics, and values from sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from speechverse.metrics.normalize import (
    ENGLISH,
    OTHER,
    join_unspaced,
    normalizer_for,
    separate_unspaced,
)
from speechverse.metrics.types import UNPARSED, Languages, import_eval

_CHRF_BETA = 2
"""How much recall counts beside precision."""


def word_errors(
    predictions: Sequence[Any], references: Sequence[Any], languages: Languages
) -> np.ndarray:
    """Errors in normalised words, and their true number, of each example, shape (N, 2); in scripts
    that put no spaces between words each letter is one.
    """
    asked = predictions, references, languages
    return _errors("process_words", str.split, *asked, separate=separate_unspaced)


def character_errors(
    predictions: Sequence[Any], references: Sequence[Any], languages: Languages
) -> np.ndarray:
    """Errors in normalised letters and spaces, and their true number, shape (N, 2); in scripts that
    put no spaces between words none counts.
    """
    asked = predictions, references, languages
    return _errors("process_characters", list, *asked, separate=join_unspaced)


def error_rate(sums: np.ndarray) -> np.ndarray:
    """Errors over true words or letters, shape (..., 2) to (...); without any, the errors."""
    return sums[..., 0] / np.maximum(sums[..., 1], 1)


def wer_signature() -> str:
    """Tools and normalisers; a score says which of them it was compared under."""
    english = f"{ENGLISH.id}:transformers:{version('transformers')}"
    return f"jiwer:{version('jiwer')}|{english}|{OTHER.id}"


def cer_signature() -> str:
    """As `wer_signature`, with what a character is."""
    return f"{wer_signature()}|no spaces in unspaced scripts"


def ngram_counts(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """Sacrebleu's: both lengths, then matching and all n-grams by order, shape (N, 10)."""
    return _sufficient_statistics(_bleu(), predictions, references)


def bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU in points from summed statistics, shape (..., 10) to (...).

    sacrebleu's formula (effective order, exponential smoothing) over all rows at once: a bootstrap
    has a thousand.
    """
    answered, wanted, correct, total = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:]
    counted = total > 0
    smoothed = counted & (correct == 0)
    right = np.where(smoothed, 0.5 ** np.cumsum(smoothed, axis=-1), correct)
    precision = np.where(counted, right, 1.0) / np.where(counted, total, 1.0)
    mean = np.log(precision).sum(axis=-1) / np.maximum(counted.sum(axis=-1), 1)
    brevity = np.exp(np.minimum(0.0, 1 - wanted / np.maximum(answered, 1)))
    return np.where(correct.any(axis=-1), 100 * brevity * np.exp(mean), 0.0)


def bleu_signature() -> str:
    return _signature(_bleu())


def character_ngram_counts(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """Sacrebleu's chrF: n-grams of either side and matching, by order, shape (N, 18)."""
    return _sufficient_statistics(_chrf(), predictions, references)


def chrf(sums: np.ndarray) -> np.ndarray:
    """In points from summed statistics, shape (..., 18) to (...), by sacrebleu's formula."""
    answered, wanted, matching = (sums[..., start::3] for start in range(3))
    # sacrebleu's effective order: what both sides are long enough for.
    counted = (answered > 0) & (wanted > 0)
    orders = np.maximum(counted.sum(axis=-1), 1)
    precision, recall = (
        np.where(counted, matching / np.maximum(of, 1), 0.0).sum(axis=-1) / orders
        for of in (answered, wanted)
    )
    weight = _CHRF_BETA**2
    points = 100 * (1 + weight) * precision * recall
    return points / np.maximum(weight * precision + recall, 1e-16)


def chrf_signature() -> str:
    return _signature(_chrf())


def _bleu() -> Any:
    # The effective order differs from the usual only where no example has four words: a set of
    # two-word commands translated perfectly must not score 0.
    return import_eval("sacrebleu").BLEU(effective_order=True)


def _chrf() -> Any:
    return import_eval("sacrebleu").CHRF()


def _signature(scorer: Any) -> str:
    scorer.num_refs = 1
    return str(scorer.get_signature())


def _sufficient_statistics(
    scorer: Any, predictions: Sequence[Any], references: Sequence[Any]
) -> np.ndarray:
    texts = [_text(prediction) for prediction in predictions]
    rows = scorer._extract_corpus_statistics(texts, [list(references)])
    return np.asarray(rows, dtype=np.float64)


def _text(prediction: Any) -> str:
    return "" if prediction is UNPARSED else prediction


def _errors(
    process: str,
    units: Callable[[str], list[str]],
    predictions: Sequence[Any],
    references: Sequence[Any],
    languages: Languages,
    separate: Callable[[str], str] = str,
) -> np.ndarray:
    """Errors by jiwer's function of that name, and the number of true units of the text."""
    rules = [normalizer_for(*pair) for pair in zip(references, languages, strict=True)]
    sides = references, map(_text, predictions)
    true, said = (
        [separate(rule(text)) for rule, text in zip(rules, side, strict=True)] for side in sides
    )
    output = getattr(import_eval("jiwer"), process)(true, said)
    errors = [sum(_num_errors(chunk) for chunk in alignment) for alignment in output.alignments]
    return np.column_stack([errors, [len(units(text)) for text in true]]).astype(np.float64)


def _num_errors(chunk: Any) -> int:
    if chunk.type == "equal":
        return 0
    return max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
