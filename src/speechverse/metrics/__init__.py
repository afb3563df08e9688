"""Metrics: pure functions of predictions and references, and intervals round them."""

from __future__ import annotations

from speechverse.metrics.normalize import normalize, normalize_english, normalizer_for
from speechverse.metrics.paired import Difference, bootstrap_difference, paired_difference
from speechverse.metrics.registry import FAULTS_OF_FORM, METRICS, bootstrap, get_metric, score
from speechverse.metrics.types import UNPARSED, Interval, Metric

__all__ = [
    "FAULTS_OF_FORM",
    "METRICS",
    "UNPARSED",
    "Difference",
    "Interval",
    "Metric",
    "bootstrap",
    "bootstrap_difference",
    "get_metric",
    "normalize",
    "normalize_english",
    "normalizer_for",
    "paired_difference",
    "score",
]
