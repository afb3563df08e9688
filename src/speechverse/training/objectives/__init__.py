"""What a stage trains by: losses and counts of a micro-batch's examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from speechverse.data import Batch
from speechverse.training.loss import ExampleLosses
from speechverse.training.objectives.answer import answer_losses
from speechverse.training.objectives.best_rq import LISTEN, masked_prediction_losses
from speechverse.training.objectives.ctc import ctc_losses

OBJECTIVES: Mapping[str, Callable[[nn.Module, Batch], ExampleLosses]] = {
    "answer": answer_losses,
    "ctc": ctc_losses,
    "best_rq": masked_prediction_losses,
}
"""By the name that a stage's `objective` has in a recipe."""


def example_losses(model: nn.Module, batch: Batch, objective: str = "answer") -> ExampleLosses:
    """Runs the model, wrapped or not, on one micro-batch with labels that is on its device."""
    return OBJECTIVES[objective](model, batch)


__all__ = ["LISTEN", "OBJECTIVES", "example_losses"]
