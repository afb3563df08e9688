"""The loss of a global step, and its sums by task for the log."""

# B examples

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from speechverse.types import IGNORED


class ExampleLosses(NamedTuple):
    """What an objective makes of a micro-batch.

    Attributes:
        nll: Negative log-likelihood of each example, summed, (B,).
        num_tokens: Target tokens, or frames, that it is summed over, (B,).
        watched: Further numbers to log, by name; no loss.
    """

    nll: Tensor
    num_tokens: Tensor
    watched: Mapping[str, float | Tensor] = {}


def num_target_tokens(labels: Tensor) -> Tensor:
    """Target tokens of each example, (B,)."""
    return (labels != IGNORED).sum(1)


def weighted_tokens(batches: Sequence[Any]) -> Tensor:
    """Sum of loss weight × target tokens over micro-batches: what a step's loss is divided by.

    Divided by this sum over the *global* batch, the gradient is the same however the batch is cut
    into micro-batches and dealt to processes.
    """
    sums = [
        (batch.loss_weights * num_target_tokens(batch.inputs["labels"])).sum() for batch in batches
    ]
    return torch.stack(sums).sum()


class TaskSums:
    """Losses by task since the last log; no step waits for the device."""

    def __init__(self, sums: Mapping[str, Sequence[float]] | None = None) -> None:
        """Starts empty, or from sums that `read` gave before a run was stopped."""
        self._sums: dict[str, list[float]] = {
            task: list(values) for task, values in (sums or {}).items()
        }
        self._waiting: list[tuple[Sequence[str], Tensor, ExampleLosses]] = []

    def add(self, tasks: Sequence[str], loss_weights: Tensor, losses: ExampleLosses) -> None:
        """Adds one micro-batch, with its examples' tasks and loss weights (B,)."""
        self._waiting.append((tasks, loss_weights, losses._replace(nll=losses.nll.detach())))

    def read(self) -> dict[str, list[float]]:
        """Number → its sum and its count, plain and times the loss weight; waits for the device.

        What is only watched has no weight.
        """
        for tasks, weights, losses in self._waiting:
            columns = (tensor.tolist() for tensor in (weights, losses.nll, losses.num_tokens))
            for task, weight, nll, tokens in zip(tasks, *columns, strict=True):
                _add(self._sums, f"loss/{task}", (nll, tokens, nll * weight, tokens * weight))
            for name, value in losses.watched.items():
                _add(self._sums, name, (float(value), 1.0, 0.0, 0.0))
        self._waiting.clear()
        return dict(self._sums)


def merge_sums(parts: Iterable[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    merged: dict[str, list[float]] = {}
    for part in parts:
        for name, row in part.items():
            _add(merged, name, row)
    return merged


def _add(sums: dict[str, list[float]], name: str, row: Sequence[float]) -> None:
    sums[name] = [a + b for a, b in zip(sums.get(name, [0.0] * 4), row, strict=True)]


def loss_numbers(sums: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Mean losses a target token: over all (weighted, as trained on), and plain by task."""
    weighted_nll, weight = (sum(row[column] for row in sums.values()) for column in (2, 3))
    means = {name: row[0] / row[1] for name, row in sorted(sums.items()) if row[1]}
    return {"loss": weighted_nll / weight if weight else 0.0, **means}
