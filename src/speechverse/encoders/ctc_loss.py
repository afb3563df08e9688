"""CTC over large vocabularies, in the time that a row's own units take.

Shapes: B batch, T frames, V units, C units of a row's target.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_NEVER = -1e4
"""Log-probability of a unit that is not there; finite, because CTC's gradient takes differences."""


def ctc_nll(
    logits: Tensor, lengths: Tensor, targets: Sequence[Sequence[int]], blank: int = 0
) -> Tensor:
    """Negative log-likelihood of each row's target, (B,); a row that cannot be aligned counts 0.

    The recursion is handed each row's own units, numbered anew, and all others as one: over
    thousands of pieces it would otherwise spend most of its time on what no target holds. Logits
    are (B, T, V) in any precision, of (B,) true frames; value and gradient are torch's.
    """
    alphabets = [[blank, *dict.fromkeys(target)] for target in targets]
    width = max(map(len, alphabets))
    chosen = torch.tensor(
        [units + [-1] * (width - len(units)) for units in alphabets], device=logits.device
    )
    renumbered = [
        units.index(unit)
        for units, target in zip(alphabets, targets, strict=True)
        for unit in target
    ]
    flat = torch.tensor(renumbered, device=logits.device, dtype=torch.long)
    sizes = torch.tensor([len(target) for target in targets], device=logits.device)
    scores: Tensor = _ScoresOfChosen.apply(logits, chosen)
    return functional.ctc_loss(
        scores.transpose(0, 1), flat, lengths, sizes, reduction="none", zero_infinity=True
    )


class _ScoresOfChosen(torch.autograd.Function):
    """Log-probabilities (B, T, C + 1) of C units a row under logits (B, T, V), and of all other
    units together.

    Written out because autograd would go over V five times. C is the longest row's, the blank
    first; -1 fills up the others.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, chosen: Tensor) -> Tensor:
        """In fp32, whatever the logits are in."""
        log_probabilities = logits.log_softmax(dim=-1, dtype=torch.float32)
        # What fills up points at the row's blank: it must not point at a unit that counts among the
        # others.
        index = chosen.where(chosen >= 0, chosen[:, :1])[:, None].expand(-1, logits.shape[1], -1)
        scores = log_probabilities.gather(2, index).masked_fill(chosen[:, None] < 0, _NEVER)
        others = (1 - scores.exp().sum(dim=2, keepdim=True)).clamp(min=1e-20).log()
        ctx.save_for_backward(log_probabilities, index, others)
        ctx.dtype = logits.dtype
        return torch.cat([scores, others], dim=2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """What reaches the others is shared among them as they are probable.

        Of a distribution's gradient the sum over all units would be taken off; CTC's own is free of
        it already.
        """
        log_probabilities, index, others = ctx.saved_tensors
        ours, rest = gradients[0][..., :-1], gradients[0][..., -1:]
        whole = log_probabilities.exp().mul_(rest / others.exp())
        whole.scatter_(2, index, 0.0).scatter_add_(2, index, ours)
        return whole.to(ctx.dtype), None
