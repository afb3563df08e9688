"""Drawing answers: each row by random numbers of its own, so that no neighbour in a batch, and no
clip that was answered before, changes what is drawn.

B rows, V vocabulary.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from speechverse.decoding.options import DecodingOptions
from speechverse.decoding.questions import Question
from speechverse.seeding import hash_seed
from speechverse.types import Prompt


class Draw(LogitsProcessor):
    """Leaves one token of each row, drawn by its probability.

    transformers draws all rows from one stream of random numbers; here each has its own.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.draws = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (B, V) of which only the drawn one of each row is left."""
        exact = torch.float32 if scores.device.type == "mps" else torch.float64
        reached_BV = scores.to(exact).softmax(dim=-1).cumsum(dim=-1)
        numbers = [torch.rand(1, generator=draw, dtype=torch.float64) for draw in self.draws]
        numbers_B1 = torch.stack(numbers).to(reached_BV)
        # Strictly beyond the number, so that what has no probability is never drawn.
        drawn_B1 = torch.searchsorted(reached_BV, numbers_B1 * reached_BV[:, -1:], right=True)
        drawn_B1 = drawn_B1.clamp(max=scores.shape[1] - 1)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn_B1, 0.0)


def drawing(options: DecodingOptions, seeds: Sequence[int]) -> list[LogitsProcessor]:
    """What draws as the options want it, after all that constrains; nothing where all is greedy."""
    if not options.draws:
        return []
    warpers: list[LogitsProcessor] = []
    if options.temperature is not None:
        warpers.append(TemperatureLogitsWarper(float(options.temperature)))
    if options.top_k is not None:
        warpers.append(TopKLogitsWarper(options.top_k))
    if options.top_p is not None:
        warpers.append(TopPLogitsWarper(options.top_p))
    return [*warpers, Draw(seeds)]


def seeded(questions: Sequence[Question], seed: int | None) -> list[Question]:
    """Questions with seeds of their own: the same again for the same question, but other ones for
    each time that it is asked in one call. Those that have one keep it.

    Args:
        seed: Of all; None takes one that nobody knows.
    """
    common = secrets.randbits(63) if seed is None else seed
    asked: Counter[tuple[str, Prompt]] = Counter()
    made = []
    for question in questions:
        if question.seed is not None:
            made.append(question)
            continue
        key = question.name, question.instruction
        made.append(replace(question, seed=hash_seed(common, *key, asked[key])))
        asked[key] += 1
    return made
