"""The check every task must pass: it renders each instruction, reads its own target back and scores it perfectly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from speechverse.errors import TaskError
from speechverse.metrics import get_metric
from speechverse.seeding import rng_for
from speechverse.tasks.labels import LabelSet
from speechverse.tasks.task import Ask, Task
from speechverse.types import Example, Utterance

SAMPLE_VOCABULARY = ("umbrella", "violin", "harbour", "pepper")
"""Stands in for a corpus's keywords, so that a task that needs some can be checked alone."""


def validate_task(
    task: Task,
    utterance: Utterance,
    labels: LabelSet | None = None,
    vocabulary: Sequence[str] = SAMPLE_VOCABULARY,
) -> list[Example]:
    """Ask every wording of every variant of a task of one utterance, and answer rightly.

    Args:
        task: The task to check.
        utterance: An utterance the task applies to.
        labels: The corpus's label inventory, for a task that takes its labels from there.
        vocabulary: Keywords for questions about words that are not said.

    Returns:
        Every example rendered.

    Raises:
        TaskError: If an instruction cannot be filled in, the target does not read back as the reference, or a right
            answer does not score perfectly.
    """
    rng = rng_for(0, task.name, utterance.id)
    ask = Ask(rng, labels=labels, vocabulary=vocabulary)
    examples = [
        task.render(utterance, replace(ask, training=training), variant, template)
        for variant in task.variants(utterance)
        for training in (True, False)
        for template in task.prompts.seen + task.prompts.held_out
    ]
    for example in examples:
        _check(task, example)
    return examples


def _check(task: Task, example: Example) -> None:
    prediction = task.parse(example.target, example.choices)
    if prediction != example.reference:
        raise TaskError(
            f"task '{task.name}' reads its target '{example.target}' as {prediction!r}, not {example.reference!r}"
        )
    for name, value in task.score([prediction], [example.reference]).items():
        best = get_metric(name).perfect
        if not math.isclose(value, best, abs_tol=1e-6):
            raise TaskError(f"task '{task.name}' scores its own target '{example.target}' {name} {value}, not {best}")
