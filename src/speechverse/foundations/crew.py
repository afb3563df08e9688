"""The processes that train a foundation together, started by `torchrun`; a process alone is a crew of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
from accelerate import PartialState
from torch import nn

_PATIENCE = timedelta(hours=12)  # others wait while the first makes speech and features


@dataclass(frozen=True)
class Crew:
    """Who is there.

    Attributes:
        rank: This process's number.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> Crew:
        """The crew that `torchrun` started this process in."""
        state = PartialState(cpu=not torch.cuda.is_available(), timeout=_PATIENCE)
        return cls(state.process_index, state.num_processes)

    @property
    def leads(self) -> bool:
        """Whether this process makes the data, logs and saves."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all are here."""
        if self.size > 1:
            torch.distributed.barrier()

    def share(self, rows: Sequence[int]) -> list[int]:
        """This process's rows of a batch, at least one: there may be fewer rows than processes."""
        return list(rows[self.rank :: self.size]) or list(rows[-1:])

    def average(self, parameters: Iterable[nn.Parameter], stop: bool) -> bool:
        """Puts the mean of all processes' gradients in place, and tells whether any of them was asked to stop."""
        if self.size == 1:
            return stop
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flags = gradients[0].new_tensor([float(stop)])
        whole = torch.cat([flags, *(gradient.flatten() for gradient in gradients)])
        torch.distributed.all_reduce(whole)
        stop = bool(whole[0] > 0)
        for parameter, mean in zip(trained, (whole[1:] / self.size).split([p.numel() for p in trained]), strict=True):
            parameter.grad = mean.view_as(parameter)
        return stop


ALONE = Crew()
"""A process that has no others beside it."""
