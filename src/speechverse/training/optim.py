"""Optimiser and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch.nn import Parameter
from torch.optim.lr_scheduler import LambdaLR

ScheduleKind = Literal["linear", "cosine", "constant", "transformer"]


def make_optimizer(
    params: Iterable[Parameter], learning_rate: float, weight_decay: float = 0.01
) -> torch.optim.AdamW:
    """AdamW that decays matrices only: no norms, biases or layer weights."""
    trained = [p for p in params if p.requires_grad]
    matrices, others = [p for p in trained if p.ndim > 1], [p for p in trained if p.ndim <= 1]
    halves = ((matrices, weight_decay), (others, 0.0))
    groups = [{"params": half, "weight_decay": decay} for half, decay in halves if half]
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in trained)
    return torch.optim.AdamW(groups, lr=learning_rate, fused=fused)


def make_schedule(
    optimizer: torch.optim.Optimizer, kind: ScheduleKind, warmup_steps: int, total_steps: int
) -> LambdaLR:
    """Linear warm-up to the peak rate, then `kind`; call `.step()` once after each optimiser step.

    "linear" and "cosine" fall to 0 at `total_steps`, "transformer" with 1/sqrt(step), as when the
    paper's encoder was pre-trained.
    """
    return LambdaLR(optimizer, lambda step: _rate(kind, step, warmup_steps, total_steps))


def _rate(kind: ScheduleKind, step: int, warmup: int, total: int) -> float:
    """The share of the peak rate for the step with this index, counted from 0."""
    if step < warmup:
        return (step + 1) / warmup
    if kind == "constant":
        return 1.0
    if kind == "transformer":
        return math.sqrt(max(warmup, 1) / (step + 1))
    if step >= total:
        return 0.0
    left = 1.0 - (step - warmup) / max(1, total - warmup)
    return left if kind == "linear" else 0.5 * (1.0 - math.cos(math.pi * left))
