"""Closed tasks, and slots, asked with a few of their labels: whether a model reads what is listed,
or knows the set by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from speechverse.data import Corpus
from speechverse.data.labels import names_used
from speechverse.errors import TaskError
from speechverse.seeding import rng_for
from speechverse.tasks import Ask, LabelSet, Task
from speechverse.tasks.prompts import placeholders
from speechverse.tasks.task import DESCRIBED, names_in
from speechverse.types import Example


def with_few_choices(
    task: Task,
    examples: Sequence[Example],
    corpus: Corpus,
    split: str,
    count: int,
    wording: Literal["seen", "held_out"],
    seed: int,
    describe: float = DESCRIBED,
) -> list[Example]:
    """The examples of a task, each with its right label (of slots with all of them) and others
    beside, in an instruction that lists them.

    Wrong labels are drawn from those that occur in the split, so that in a split of new labels
    being new tells nothing; where they are too few, the rest of the set fills up. A list depends on
    seed, task and clip alone.

    Args:
        task: A task with no more labels than that, or with none, is asked as it was.
        corpus: Whose label set counts before the task's own.
        count: Labels in a list.
        describe: Probability that they carry their descriptions; all else is drawn alike.

    Raises:
        TaskError: If no instruction of the task lists labels.
    """
    labels = task.label_set(corpus.labels_with(task.label_fields))
    if labels is None or task.constraint is None or len(labels.names) <= count:
        return list(examples)
    templates = [text for text in task.prompts.wordings(wording) if "labels" in placeholders(text)]
    if not templates:
        raise TaskError(
            f"no {wording} instruction of task '{task.name}' lists its labels, so a few cannot be"
            " offered"
        )
    occurring = {
        name
        for utterance in corpus.utterances(split)
        for name in names_used(utterance.labels, labels.field)
    }

    def ask(example: Example) -> Example:
        rng = rng_for(seed, "choices", task.name, example.utterance.id)
        right = [name for name in labels.names if name in names_in(example.reference)]
        wrong = [name for name in labels.names if name not in right]
        others = max(0, count - len(right))
        near = [name for name in wrong if name in occurring]
        rest = [name for name in wrong if name not in occurring]
        drawn = rng.sample(near, min(others, len(near)))
        names = [*right, *drawn, *rng.sample(rest, others - len(drawn))]
        rng.shuffle(names)
        few = LabelSet(labels.field, {name: labels.descriptions[name] for name in names})
        labels_of = {few.field: few}
        ask = Ask(rng, wording, labels_of, training=False, max_listed=count, describe=describe)
        return task.render(example.utterance, ask, example.group, rng.choice(templates))

    return [ask(example) for example in examples]
