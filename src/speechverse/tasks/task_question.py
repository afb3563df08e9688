"""A task's question where no corpus says what is right: its first instruction, what may be
answered, and how the answer is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from speechverse.errors import TaskError
from speechverse.tasks.joint import Joint
from speechverse.tasks.labels import LabelSet
from speechverse.tasks.parsing import Prediction
from speechverse.tasks.prompts import fill, placeholders
from speechverse.tasks.registry import get_task
from speechverse.tasks.task import MAX_LISTED, ConstraintSpec, Task

_NO_LABELS: Mapping[str, LabelSet] = {}


@dataclass(frozen=True)
class TaskQuestion:
    """What a task asks of any clip.

    Attributes:
        task: The task.
        instruction: In its own words.
        choices: Its labels, where they are known; of a joint task one entry a part.
    """

    task: Task
    instruction: str
    choices: Sequence[Any] | None

    @classmethod
    def of(cls, name: str, labels: Sequence[str] | None = None) -> TaskQuestion:
        """The first question of a task, in the first of its instructions that can be asked.

        Args:
            name: Of the task, as in `get_task`.
            labels: Instead of the task's own, or where it has none.

        Raises:
            TaskError: If there is no such task, it has no labels to choose among, or asks about
                something that no instruction alone can name.
        """
        task = get_task(name)
        if isinstance(task, Joint):
            return cls._joint(task, labels)
        if labels is not None and task.constraint is None:
            raise TaskError(f"task '{name}' is answered freely: leave out its choices")
        known = _labels(task, labels)
        return cls(task, _first_instruction(task, known), known.names if known else None)

    @classmethod
    def _joint(cls, task: Joint, labels: Sequence[str] | None) -> TaskQuestion:
        closed = [part for part in task.parts if part.constraint is not None]
        if labels is not None and len(closed) != 1:
            raise TaskError(
                f"task '{task.name}' has {len(closed)} parts with labels, so the choices given have"
                " no place: leave them out"
            )
        parts = [cls.of(part.name, labels if part in closed else None) for part in task.parts]
        written = task.combine(task.prompts.seen[0], [part.instruction for part in parts])
        return cls(task, written, [part.choices for part in parts])

    @property
    def constraint(self) -> ConstraintSpec | None:
        """What may be answered; None is anything."""
        return self.task.constraint_for(self.choices)

    def parse(self, text: str) -> Prediction:
        """What an answer means; `UNPARSED` if it is not as the task wants it."""
        return self.task.parse(text, self.choices)


def _labels(task: Task, given: Sequence[str] | None) -> LabelSet | None:
    if given is None:
        return task.label_set(_NO_LABELS)
    names = {name.strip(): "" for name in given}
    return LabelSet(task.label_field or "choices", names).with_descriptions_of(task.labels)


def _first_instruction(task: Task, labels: LabelSet | None) -> str:
    """The first wording that needs nothing but the labels, and those only if they can be listed."""
    values = {}
    if labels is not None and len(labels.names) <= MAX_LISTED:
        values["labels"] = labels.listing(labels.names, describe=True)
    for wording in task.prompts.seen:
        if set(placeholders(wording)) <= values.keys():
            return fill(wording, values)
    wanted = sorted({name for wording in task.prompts.seen for name in placeholders(wording)})
    if wanted == ["labels"]:
        raise TaskError(
            f"task '{task.name}' chooses among labels that a corpus names; give at most"
            f" {MAX_LISTED} of them as choices"
        )
    raise TaskError(
        f"task '{task.name}' asks about something that it takes from a corpus"
        f" ({', '.join(wanted)}); ask in your own words instead, such as"
        f' "{task.prompts.seen[0]}"'
    )
