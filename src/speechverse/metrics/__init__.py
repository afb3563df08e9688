"""Metrics: pure functions of predictions and references, and intervals round them; see `registry` for the list."""

from __future__ import annotations

from speechverse.metrics.normalize import NORMALIZER_ID, normalize_english
from speechverse.metrics.registry import FAULTS_OF_FORM, METRICS, bootstrap, get_metric, score
from speechverse.metrics.types import UNPARSED, Interval, Metric, Unparsed

__all__ = [
    "FAULTS_OF_FORM",
    "METRICS",
    "NORMALIZER_ID",
    "UNPARSED",
    "Interval",
    "Metric",
    "Unparsed",
    "bootstrap",
    "get_metric",
    "normalize_english",
    "score",
]
