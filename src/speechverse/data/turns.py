"""Earlier turns of training examples: other questions about the same clip, answered rightly."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from speechverse.tasks import Task

MAX_TURNS = 2
"""Most turns that come before an example's own question."""

TRANSCRIPT_FIRST = 0.5
"""Share of the examples with earlier turns in which a transcript comes first, where there is one:
it is what people ask first.
"""

Asked = TypeVar("Asked")


def draw_turns(rng: random.Random, last: Task, others: Sequence[tuple[Task, Asked]]) -> list[Asked]:
    """What is asked of a clip before its last question: one or two of the others, each another
    question; a joint task asks those of its parts. Fewer where there are no more.
    """
    order = list(others)
    rng.shuffle(order)
    if rng.random() < TRANSCRIPT_FIRST:
        order.sort(key=lambda other: other[0].group != "asr")
    count, asked, turns = rng.randint(1, MAX_TURNS), _questions(last), list[Asked]()
    for task, other in order:
        if len(turns) < count and asked.isdisjoint(_questions(task)):
            asked |= _questions(task)
            turns.append(other)
    return turns


def _questions(task: Task) -> set[str]:
    return {part.name for part in getattr(task, "parts", (task,))}
