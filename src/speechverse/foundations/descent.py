"""How a foundation's weights go down: AdamW, and where asked Muon for the matrices inside, as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Muon, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from speechverse.foundations.recipe import PhaseSettings
from speechverse.training.optim import make_optimizer, make_schedule

_SCHEDULE_OF = {"optimizer": "schedule", "muon": "muon-schedule"}
"""Optimiser → its schedule, as the files of a state are named."""


class Descent:
    """The optimisers of a phase, each with its schedule (cosine); call `step` after each backward pass.

    Muon (https://kellerjordan.github.io/posts/muon/; torch's own) turns a matrix's momentum into the nearest
    orthogonal one, so that its rare directions learn as fast as its common ones. Embeddings, heads that share their
    table, norms and biases stay with AdamW, as do all weights where no `muon_rate` is set.
    """

    def __init__(self, module: nn.Module, settings: PhaseSettings) -> None:
        """Takes what to train (frozen parameters are left out) and the phase's rates."""
        inner = _inner_matrices(module) if settings.muon_rate else []
        taken = {id(parameter) for parameter in inner}
        rest = [parameter for parameter in module.parameters() if id(parameter) not in taken]
        self._optimizers: dict[str, Optimizer] = {
            "optimizer": make_optimizer(rest, settings.learning_rate, settings.weight_decay)
        }
        if inner and settings.muon_rate:
            decay, rate = settings.weight_decay, settings.muon_rate
            self._optimizers["muon"] = Muon(inner, lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
        self._schedules: dict[str, LambdaLR] = {
            name: make_schedule(optimizer, "cosine", settings.warmup_steps, settings.steps)
            for name, optimizer in self._optimizers.items()
        }

    @property
    def rate(self) -> float:
        """AdamW's, now."""
        return float(self._schedules["optimizer"].get_last_lr()[0])

    def step(self) -> None:
        """Moves the weights, and forgets the gradients."""
        for optimizer in self._optimizers.values():
            optimizer.step()
        for schedule in self._schedules.values():
            schedule.step()
        for optimizer in self._optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Any]:
        """Name → what to save of it, for `load`."""
        optimizers = {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}
        return {
            **optimizers,
            **{_SCHEDULE_OF[name]: schedule.state_dict() for name, schedule in self._schedules.items()},
        }

    def load(self, objects: Mapping[str, Any]) -> None:
        """Goes on from a saved state."""
        for name, optimizer in self._optimizers.items():
            optimizer.load_state_dict(objects[name])
            self._schedules[name].load_state_dict(objects[_SCHEDULE_OF[name]])


def _inner_matrices(module: nn.Module) -> list[Tensor]:
    """Weights of linear layers that are no table of words."""
    tables = {id(part.weight) for part in module.modules() if isinstance(part, nn.Embedding)}
    weights = {id(part.weight): part.weight for part in module.modules() if isinstance(part, nn.Linear)}
    return [weight for key, weight in weights.items() if key not in tables and weight.requires_grad]
