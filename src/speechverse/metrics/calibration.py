"""Whether probabilities are meant: the expected calibration error, and answers held back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

NUM_BINS = 10


class Believed(NamedTuple):
    """A label, and the probability it was given."""

    label: str
    probability: float


def bin_of(probability: float) -> int:
    """Which of `NUM_BINS` bins of one width a probability falls in; 1 is in the last."""
    return min(int(probability * NUM_BINS), NUM_BINS - 1)


def binned(predictions: Sequence[Believed], references: Sequence[Any]) -> np.ndarray:
    """Probability and hit of each example in its bin, and a one to count it by: (N, 2 bins + 1)."""
    import numpy as np

    statistics = np.zeros((len(references), 2 * NUM_BINS + 1))
    for row, (believed, reference) in enumerate(zip(predictions, references, strict=True)):
        place = bin_of(believed.probability)
        statistics[row, place] = believed.probability
        statistics[row, NUM_BINS + place] = believed.label == reference
        statistics[row, -1] = 1
    return statistics


def expected_calibration_error(sums: np.ndarray) -> np.ndarray:
    """The gap between mean probability and accuracy, averaged over the bins by their examples."""
    import numpy as np

    probability, hits = sums[..., :NUM_BINS], sums[..., NUM_BINS:-1]
    return np.abs(probability - hits).sum(axis=-1) / sums[..., -1]


def held_back(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
    """Right answers, answers, examples, shape (N, 3); a prediction of None is held back."""
    import numpy as np

    pairs = zip(predictions, references, strict=True)
    return np.array([[float(p == r), float(p is not None), 1.0] for p, r in pairs])


def coverage(sums: np.ndarray) -> np.ndarray:
    """The share of examples that are answered."""
    return sums[..., 1] / sums[..., 2]


def answered_accuracy(sums: np.ndarray) -> np.ndarray:
    """The share of the answers that is right; 0 where nothing is answered."""
    import numpy as np

    return sums[..., 0] / np.maximum(sums[..., 1], 1)
