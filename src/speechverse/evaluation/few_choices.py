"""Closed tasks asked with a few of their labels: whether a model reads what is listed, or knows the
set by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from speechverse.data import Corpus
from speechverse.errors import TaskError
from speechverse.seeding import rng_for
from speechverse.tasks import Ask, LabelSet, OneOf, Task
from speechverse.tasks.prompts import placeholders
from speechverse.types import Example


def with_few_choices(
    task: Task,
    examples: Sequence[Example],
    corpus: Corpus,
    split: str,
    count: int,
    wording: Literal["seen", "held_out"],
    seed: int,
) -> list[Example]:
    """The examples of a task, each with its right label and others beside it, in an instruction
    that lists them.

    Wrong labels are drawn from those that occur in the split, so that in a split of new labels
    being new tells nothing; where they are too few, the rest of the set fills up. A list depends on
    seed, task and clip alone.

    Args:
        task: A task with no more labels than that, or with none, is asked as it was.
        corpus: Whose label set counts before the task's own.
        count: Labels in a list.

    Raises:
        TaskError: If no instruction of the task lists labels.
    """
    labels = task.label_set(corpus.labels)
    if labels is None or task.constraint is not OneOf or len(labels.names) <= count:
        return list(examples)
    templates = [text for text in task.prompts.wordings(wording) if "labels" in placeholders(text)]
    if not templates:
        raise TaskError(
            f"no {wording} instruction of task '{task.name}' lists its labels, so a few cannot be"
            " offered"
        )
    occurring = {str(utterance.labels.get(labels.field)) for utterance in corpus.utterances(split)}

    def asked(example: Example) -> Example:
        rng = rng_for(seed, "choices", task.name, example.utterance.id)
        wrong = [name for name in labels.names if name != example.reference]
        near = [name for name in wrong if name in occurring]
        rest = [name for name in wrong if name not in occurring]
        drawn = rng.sample(near, min(count - 1, len(near)))
        names = [example.target, *drawn, *rng.sample(rest, count - 1 - len(drawn))]
        rng.shuffle(names)
        few = LabelSet(labels.field, {name: labels.descriptions[name] for name in names})
        ask = Ask(rng, wording, {few.field: few}, training=False, max_listed=count)
        return task.render(example.utterance, ask, example.group, rng.choice(templates))

    return [asked(example) for example in examples]
