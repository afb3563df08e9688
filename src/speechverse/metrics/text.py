"""Word and character error rates through jiwer, BLEU through sacrebleu: statistics of examples,
values from sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from speechverse.metrics.normalize import ENGLISH, OTHER, normalizer_for
from speechverse.metrics.types import UNPARSED, Languages, import_eval

if TYPE_CHECKING:
    import numpy as np


_CHRF_BETA = 2
"""How much recall counts beside precision."""


def word_errors(
    predictions: Sequence[Any], references: Sequence[Any], languages: Languages
) -> np.ndarray:
    """Word errors and true words of each example after normalising both sides, shape (N, 2)."""
    return _errors("process_words", str.split, predictions, references, languages)


def character_errors(
    predictions: Sequence[Any], references: Sequence[Any], languages: Languages
) -> np.ndarray:
    """Errors in letters and spaces, and their true number, of each example after normalising both
    sides: (N, 2).
    """
    return _errors("process_characters", list, predictions, references, languages)


def error_rate(sums: np.ndarray) -> np.ndarray:
    """Errors over true words or letters, shape (..., 2) to (...); where there was none, the errors
    themselves.
    """
    import numpy as np

    return sums[..., 0] / np.maximum(sums[..., 1], 1)


def wer_signature() -> str:
    """Tools and normalisers an error rate stands on; a score says which of them it was compared
    under.
    """
    return (
        f"jiwer:{version('jiwer')}|{ENGLISH.id}:transformers:{version('transformers')}|{OTHER.id}"
    )


def ngram_counts(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """The sufficient statistics of sacrebleu: both lengths, then matching and all n-grams by order,
    shape (N, 10).
    """
    import numpy as np

    rows = _bleu()._extract_corpus_statistics(
        [_text(prediction) for prediction in predictions], [list(references)]
    )
    return np.asarray(rows, dtype=np.float64)


def bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU in points from summed statistics, shape (..., 10) to (...).

    sacrebleu's formula (effective order, exponential smoothing) over all rows at once: a bootstrap
    has a thousand.
    """
    import numpy as np

    answered, wanted, correct, total = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:]
    counted = total > 0
    smoothed = counted & (correct == 0)
    right = np.where(smoothed, 0.5 ** np.cumsum(smoothed, axis=-1), correct)
    precision = np.where(counted, right, 1.0) / np.where(counted, total, 1.0)
    mean = np.log(precision).sum(axis=-1) / np.maximum(counted.sum(axis=-1), 1)
    brevity = np.exp(np.minimum(0.0, 1 - wanted / np.maximum(answered, 1)))
    return np.where(correct.any(axis=-1), 100 * brevity * np.exp(mean), 0.0)


def bleu_signature() -> str:
    scorer = _bleu()
    scorer.num_refs = 1
    return str(scorer.get_signature())


def character_ngram_counts(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """The sufficient statistics of sacrebleu's chrF: n-grams of either side and matching, by order,
    shape (N, 18).
    """
    import numpy as np

    scorer = import_eval("sacrebleu").CHRF()
    rows = scorer._extract_corpus_statistics(
        [_text(prediction) for prediction in predictions], [list(references)]
    )
    return np.asarray(rows, dtype=np.float64)


def chrf(sums: np.ndarray) -> np.ndarray:
    """Gives chrF in points from summed statistics, shape (..., 18) to (...), by sacrebleu's
    formula.
    """
    import numpy as np

    answered, wanted, matching = (sums[..., start::3] for start in range(3))
    counted = (answered > 0) & (
        wanted > 0
    )  # sacrebleu's effective order: what both sides are long enough for
    orders = np.maximum(counted.sum(axis=-1), 1)
    precision, recall = (
        np.where(counted, matching / np.maximum(of, 1), 0.0).sum(axis=-1) / orders
        for of in (answered, wanted)
    )
    weighed = _CHRF_BETA**2
    return (
        100 * (1 + weighed) * precision * recall / np.maximum(weighed * precision + recall, 1e-16)
    )


def chrf_signature() -> str:
    scorer = import_eval("sacrebleu").CHRF()
    scorer.num_refs = 1
    return str(scorer.get_signature())


def _bleu() -> Any:
    # The effective order differs from the usual only where no example has four words: a set of
    # two-word commands translated perfectly must not score 0.
    return import_eval("sacrebleu").BLEU(effective_order=True)


def _text(prediction: Any) -> str:
    return "" if prediction is UNPARSED else prediction


def _errors(
    process: str,
    units: Callable[[str], list[str]],
    predictions: Sequence[Any],
    references: Sequence[Any],
    languages: Languages,
) -> np.ndarray:
    """Errors by jiwer's function of that name, and the number of true units of the text."""
    import numpy as np

    rules = [
        normalizer_for(text, language) for text, language in zip(references, languages, strict=True)
    ]
    true = [rule(text) for rule, text in zip(rules, references, strict=True)]
    said = [rule(_text(prediction)) for rule, prediction in zip(rules, predictions, strict=True)]
    output = getattr(import_eval("jiwer"), process)(true, said)
    errors = [sum(_num_errors(chunk) for chunk in alignment) for alignment in output.alignments]
    return np.column_stack([errors, [len(units(text)) for text in true]]).astype(np.float64)


def _num_errors(chunk: Any) -> int:
    if chunk.type == "equal":
        return 0
    return max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
