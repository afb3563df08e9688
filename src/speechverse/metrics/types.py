"""What a metric is: per-example sufficient statistics, and a function from their sums to a value.

Every metric here is a function of sums over examples, so a bootstrap resample is a weighted sum: a
thousand resamples are one matrix product.
"""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np

from speechverse.errors import UserError, needs_extra
from speechverse.metrics.normalize import name_normalizers


class Unparsed(enum.Enum):
    """The type of `UNPARSED`; an enum, so that the one value survives copying and pickling."""

    UNPARSED = "unparsed"

    def __repr__(self) -> str:
        return "UNPARSED"


Languages = Sequence[str | None]
"""The language each reference is in, as a BCP-47 code; None where it is not known."""

UNPARSED: Final = Unparsed.UNPARSED
"""Stands for an answer that could not be read: wrong under every metric, see `unparsed_rate`."""


class Interval(NamedTuple):
    """A value and the bootstrap interval round it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Metric:
    """One metric: how it is named, read and computed.

    Attributes:
        statistics: (predictions, references) to sufficient statistics, shape (N, K); where the
            metric goes by language, (predictions, references, languages).
        finish: Sums of statistics, shape (..., K), to values, shape (...).
        percent: Whether the value is a fraction, shown times 100; BLEU is in points already.
        by_language: Whether texts are normalised first, each by the language of its reference.
        part: Of joint answers, which are read as {task: prediction}, the task whose predictions are
            compared.
        by_class: Whether the statistics count each class among the references, see `classes`.
        signature: Says with which tools and settings the value was computed; travels with results.
    """

    name: str
    label: str
    statistics: Callable[..., np.ndarray]
    finish: Callable[[np.ndarray], np.ndarray]
    higher_is_better: bool = True
    percent: bool = True
    by_language: bool = False
    part: str | None = None
    by_class: bool = False
    signature: Callable[[], str] = lambda: ""

    @classmethod
    def mean_of(
        cls,
        name: str,
        label: str,
        of_one: Callable[[Any, Any], float],
        *,
        higher_is_better: bool = True,
    ) -> Metric:
        """A metric that is the mean over examples of a function of one prediction and its
        reference.

        Args:
            of_one: (prediction, reference) to a number from 0 to 1. It is not asked of an answer
                that could not be read, which has the worst of them.
        """
        worst = 0.0 if higher_is_better else 1.0

        def statistics(predictions: Sequence[Any], references: Sequence[Any]) -> np.ndarray:
            pairs = zip(predictions, references, strict=True)
            values = [worst if p is UNPARSED else float(of_one(p, r)) for p, r in pairs]
            return with_count(values)

        return cls(name, label, statistics, mean, higher_is_better)

    @property
    def perfect(self) -> float:
        """The value of a system that is always right."""
        if not self.higher_is_better:
            return 0.0
        return 1.0 if self.percent else 100.0

    def shown(self, value: float) -> float:
        """The value as tables print it: in percent or points."""
        return value * 100 if self.percent else value

    def compute_statistics(
        self,
        predictions: Sequence[Any],
        references: Sequence[Any],
        languages: Languages | None = None,
    ) -> np.ndarray:
        """The statistics of every example, shape (N, K).

        Raises:
            UserError: If there is nothing to score, or not one prediction (and language) for each
                reference.
        """
        if len(predictions) != len(references):
            raise UserError(
                f"{self.name} compares one prediction with one reference each, "
                f"but there are {len(predictions)} predictions and {len(references)} references"
            )
        if not references:
            raise UserError(
                f"{self.name} has nothing to score: give at least one prediction and its reference"
            )
        predictions, references = self._of_part(predictions), self._of_part(references)
        if not self.by_language:
            return self.statistics(predictions, references)
        return self.statistics(predictions, references, _languages_of(references, languages))

    def value(
        self,
        predictions: Sequence[Any],
        references: Sequence[Any],
        languages: Languages | None = None,
    ) -> float:
        """The value over all examples together (not the mean of values per example)."""
        return float(
            self.finish(self.compute_statistics(predictions, references, languages).sum(axis=0))
        )

    def classes(self, references: Sequence[Any]) -> tuple[str, ...]:
        """The classes that the statistics of these references count, in their order: of each the
        right answers, then of each the examples; none of a metric that goes by no class.
        """
        return tuple(sorted(set(self._of_part(references)))) if self.by_class else ()

    def normalizers(self, references: Sequence[Any], languages: Languages | None = None) -> str:
        """Ids of the normalisers that these texts are compared under; empty without any."""
        if not self.by_language:
            return ""
        return name_normalizers(self._of_part(references), _languages_of(references, languages))

    def _of_part(self, values: Sequence[Any]) -> Sequence[Any]:
        if self.part is None:
            return values
        return [one if one is UNPARSED else one[self.part] for one in values]


def with_count(values: Sequence[float]) -> np.ndarray:
    """One number an example and a one to count it by, shape (N, 2); `mean` undoes it."""
    return np.column_stack([np.asarray(values, dtype=np.float64), np.ones(len(values))])


def mean(sums: np.ndarray) -> np.ndarray:
    """Sum over count, shape (..., 2) to (...)."""
    return sums[..., 0] / sums[..., 1]


def _languages_of(references: Sequence[Any], languages: Languages | None) -> Languages:
    if languages is None:
        return [None] * len(references)
    if len(languages) != len(references):
        counts = f"{len(references)} references and {len(languages)} languages"
        raise UserError(f"there are {counts}; give one for each")
    return languages


def import_eval(module: str) -> ModuleType:
    """Import a module of the `eval` extra, or say what to install."""
    with needs_extra(f"scoring with {module.partition('.')[0]}", "eval"):
        found = importlib.import_module(module)
    return found
