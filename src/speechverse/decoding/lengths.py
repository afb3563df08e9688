"""How long an answer may become, row by row of a batch, and why it ended where it did."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from threading import Event
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import StoppingCriteria

from speechverse.decoding.constraint import is_loop
from speechverse.errors import CancelledError
from speechverse.protocols import Model, Processor
from speechverse.types import Ended


class Limit(NamedTuple):
    """The most new tokens an answer may have, and what it means to reach them."""

    tokens: int
    reason: Ended


class Ending(NamedTuple):
    """An answer's own tokens, its end token included, with why there are no more."""

    tokens: list[int]
    reason: Ended
    limit: int


class LengthLimit(StoppingCriteria):
    """Ends each row of a batch at its own limit, greedy or with beams, so that its neighbours
    change no answer.

    Args:
        limits: New tokens, one limit for each example of the batch.
    """

    def __init__(self, limits: Sequence[int], num_start_tokens: int) -> None:
        self.limits = torch.tensor(limits)
        self.num_start_tokens = num_start_tokens

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """Which rows of `input_ids` (B times beams, T) have all their tokens, shape (B times
        beams,).
        """
        reached = self.limits <= input_ids.shape[1] - self.num_start_tokens
        return reached.repeat_interleave(len(input_ids) // len(reached)).to(input_ids.device)


def check_cancelled(cancel: Event | None) -> None:
    """Raises a CancelledError once that is set."""
    if cancel is not None and cancel.is_set():
        raise CancelledError("the answer was cancelled before its end")


class Cancelled(StoppingCriteria):
    """Looks at an event of another thread at every token."""

    def __init__(self, cancel: Event) -> None:
        self.cancel = cancel

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """No row ends here: either all go on, or an error ends them."""
        check_cancelled(self.cancel)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def end_tokens(model: Model, processor: Processor) -> set[int]:
    ends = model.llm.generation_config.eos_token_id
    return {processor.end_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}


def ending(row: Sequence[int], limit: Limit, ends: Collection[int], looped: bool) -> Ending:
    """A generated row without the padding behind it.

    Args:
        looped: Whether an answer of this row, or of one of its beams, was ended because it turned
            in circles.
    """
    row = list(row[: limit.tokens])
    end = next((place for place, token in enumerate(row) if token in ends), None)
    if end is None:
        return Ending(row, limit.reason, limit.tokens)
    return Ending(row[: end + 1], "loop" if looped and is_loop(row[:end]) else "end", limit.tokens)
