"""The difference between two ways of asking the same examples, with the interval of the pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from speechverse.metrics.registry import get_metric, resampled_values
from speechverse.metrics.types import Interval, Languages


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
    import numpy as np

    used = get_metric(metric)
    first, second = (used.compute_statistics(made, references, languages) for made in predictions)
    value = float(used.finish(second.sum(axis=0)) - used.finish(first.sum(axis=0)))
    if num_samples == 0:
        return Interval(value, value, value)
    values = resampled_values(used, second, num_samples, seed) - resampled_values(
        used, first, num_samples, seed
    )
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(value, float(low), float(high))
