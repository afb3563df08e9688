"""The check every task must pass: it renders each instruction, reads its own target back and scores
it perfectly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import SequenceMatcher

import pytest

from speechverse.metrics import get_metric
from speechverse.seeding import rng_for
from speechverse.tasks import Ask, LabelSet, Task
from speechverse.types import Example, Utterance


def alike(one: str, other: str) -> float:
    """How alike two wordings are, word by word: 1 where they are one."""
    first, second = one.lower().split(), other.lower().split()
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def validate_task(
    task: Task, utterance: Utterance, labels: Mapping[str, LabelSet] | None = None
) -> list[Example]:
    """Asks every wording of every variant of a task of one utterance, and answers rightly."""
    vocabulary = ("umbrella", "violin", "harbour", "pepper")  # stands in for a corpus's keywords
    ask = Ask(rng_for(0, task.name, utterance.id), labels=labels or {}, vocabulary=vocabulary)
    examples = [
        task.render(utterance, replace(ask, training=training), variant, template)
        for variant in task.variants(utterance)
        for training in (True, False)
        for template in task.prompts.seen + task.prompts.held_out
    ]
    for example in examples:
        prediction = task.parse(example.target, example.choices)
        assert prediction == example.reference
        for name, value in task.score([prediction], [example.reference]).items():
            assert value == pytest.approx(get_metric(name).perfect, abs=1e-6), (
                example.target,
                name,
            )
    return examples
