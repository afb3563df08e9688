"""Linear probes: logistic regression on standardised features, each class (or each word) weighing the same.

Solved by L-BFGS in torch: all outputs of a probe are one matrix product, where a general solver would take each of
sixty words alone. Shape letters: N clips, D features, C outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from speechverse.metrics import Metric
from speechverse.seeding import hash_seed

PENALTIES = (1e-1, 1e-2, 1e-3)
"""Weights of the squared coefficients beside the mean loss, to choose from."""

_ITERATIONS = 100
_Loss = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Outputs:
    """What a probe says of a clip: one of several classes, or for each of several words whether it is there.

    Attributes:
        names: Classes or words, C of them.
        several: Whether any number of them may hold at once; a clip's answer is then a frozenset of names.
    """

    names: tuple[str, ...]
    several: bool = False

    def encode(self, answers: Sequence[Hashable]) -> Tensor:
        """(N, C) of 0 and 1."""
        if self.several:
            rows = [[float(name in answer) for name in self.names] for answer in answers]  # type: ignore[operator]
        else:
            rows = [[float(name == answer) for name in self.names] for answer in answers]
        return torch.tensor(rows)

    def decode(self, logits: Tensor) -> list[Hashable]:
        """Answers of logits (N, C)."""
        if not self.several:
            return [self.names[best] for best in logits.argmax(dim=-1).tolist()]
        return [
            frozenset(name for name, on in zip(self.names, row, strict=True) if on) for row in (logits > 0).tolist()
        ]

    def loss(self, true: Tensor) -> _Loss:
        """Mean cross entropy against (N, C), all classes of the same weight, or both sides of each word."""
        share = true.mean(dim=0)
        if not self.several:
            present = share > 0
            weights = (true / share.clamp(min=1e-12) / present.sum()).sum(dim=1)
            return lambda logits: -(weights * (true * logits.log_softmax(dim=-1)).sum(dim=1)).mean()
        weights = 0.5 * (true / share.clamp(min=1e-12) + (1 - true) / (1 - share).clamp(min=1e-12))
        # Words do not share coefficients: their losses are summed, so that the penalty means the same for each.
        return lambda logits: (
            (functional.binary_cross_entropy_with_logits(logits, true, weights, reduction="none")).mean(dim=0).sum()
        )


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe.

    Attributes:
        outputs: What it names.
        centre: (D,) subtracted from features.
        scale: (D,) that they are then divided by.
        weight: (D, C).
        bias: (C,).
    """

    outputs: Outputs
    centre: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def predict(self, features: Tensor) -> list[Hashable]:
        """Answers to features (N, D)."""
        return self.outputs.decode((features - self.centre) / self.scale @ self.weight + self.bias)


def fit_probe(features: Tensor, answers: Sequence[Hashable], outputs: Outputs, penalty: float) -> LinearProbe:
    """Fits a probe to features (N, D) and the N answers to them."""
    centre, scale = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=1e-6)
    standard = (features - centre) / scale
    loss = outputs.loss(outputs.encode(answers))
    weight = torch.zeros(features.shape[1], len(outputs.names), requires_grad=True)
    bias = torch.zeros(len(outputs.names), requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=_ITERATIONS, tolerance_grad=1e-5, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        solver.zero_grad()
        value = loss(standard @ weight + bias) + 0.5 * penalty * weight.square().sum()
        value.backward()
        return value

    solver.step(closure)
    return LinearProbe(outputs, centre, scale, weight.detach(), bias.detach())


def choose_penalty(
    features: Tensor, answers: Sequence[Hashable], groups: Sequence[str], outputs: Outputs, metric: Metric
) -> float:
    """The penalty that serves best on a quarter of the groups, when the others are fitted.

    Args:
        features: (N, D).
        answers: N of them.
        groups: What must not be on both sides (the voice), N of them.
        outputs: What is named.
        metric: What "best" is.

    Returns:
        One of `PENALTIES`, the larger of equals; the middle one where the groups are too few to tell.
    """
    names = sorted(set(groups), key=lambda group: hash_seed(0, "probe", group))
    aside = set(names[: math.ceil(len(names) / 4)])
    fit, held = ([row for row, group in enumerate(groups) if (group in aside) is side] for side in (False, True))
    if len({answers[row] for row in fit}) < 2 or len({answers[row] for row in held}) < 2:
        return PENALTIES[1]

    def value(penalty: float) -> float:
        probe = fit_probe(features[fit], [answers[row] for row in fit], outputs, penalty)
        return metric.value(probe.predict(features[held]), [answers[row] for row in held])

    return max(PENALTIES, key=value)
