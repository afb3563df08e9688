"""The difference between two ways of answering the same examples: its interval and its test, both
of the pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from speechverse.metrics.registry import get_metric, resampled_values
from speechverse.metrics.types import Interval, Languages

if TYPE_CHECKING:
    import numpy as np


class Difference(NamedTuple):
    """The second value less the first, with its 95 % interval.

    `p_value` is that of a two-sided permutation test: how often the difference is as large when
    each pair's two answers are swapped by lot.
    """

    value: float
    low: float
    high: float
    p_value: float


def bootstrap_difference(
    metric: str,
    predictions: tuple[Sequence[Any], Sequence[Any]],
    references: Sequence[Any],
    num_samples: int = 1000,
    seed: int = 0,
    languages: Languages | None = None,
) -> Interval:
    """The second value less the first, with its 95 % interval; both are resampled alike.

    Args:
        metric: Its name.
        predictions: Of the one way and of the other, for the same examples in the same order.
        references: Of the examples.
        num_samples: Number of resamples; 0 gives an interval that is the difference itself.
        seed: Seed of the resampling.
        languages: The language of each reference; None where none is known.
    """
    used = get_metric(metric)
    first, second = (used.compute_statistics(made, references, languages) for made in predictions)
    return Interval(*paired_difference(metric, first, second, num_samples, seed)[:3])


def paired_difference(
    metric: str, first: np.ndarray, second: np.ndarray, num_samples: int = 1000, seed: int = 0
) -> Difference:
    """The difference of a metric from its statistics of the same clips, (N, K) each.

    Args:
        num_samples: Resamples, and swaps of the test; 0 gives the difference itself and no test.
    """
    import numpy as np

    used = get_metric(metric)
    value = float(used.finish(second.sum(axis=0)) - used.finish(first.sum(axis=0)))
    if num_samples == 0:
        return Difference(value, value, value, 1.0)
    values = resampled_values(used, second, num_samples, seed) - resampled_values(
        used, first, num_samples, seed
    )
    low, high = np.quantile(values, [0.025, 0.975])
    # both sides' sums change by what the swapped pairs differ in
    rng, gap = np.random.default_rng(seed), second - first
    moved = np.stack([rng.integers(0, 2, len(gap)) @ gap for _ in range(num_samples)])
    swapped = used.finish(second.sum(axis=0) - moved) - used.finish(first.sum(axis=0) + moved)
    as_large = int((np.abs(swapped) >= abs(value) - 1e-12).sum())
    return Difference(value, float(low), float(high), (1 + as_large) / (1 + num_samples))
