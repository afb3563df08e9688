"""A task as a question about a clip of which nothing is known."""

from __future__ import annotations

from typing import NamedTuple

from speechverse.errors import TaskError
from speechverse.tasks.joint import Joint
from speechverse.tasks.prompts import fill, placeholders
from speechverse.tasks.task import OneOf, Task


class Asked(NamedTuple):
    """What to ask, and the answers allowed; None leaves them free."""

    instruction: str
    choices: tuple[str, ...] | None


def as_question(task: Task) -> Asked:
    """The first instruction of a task that needs nothing of the clip, with the task's own labels.

    Raises:
        TaskError: If every instruction asks about something that the clip's labels would name.
    """
    if isinstance(task, Joint):
        instructions = [as_question(part).instruction for part in task.parts]
        return Asked(task.together(instructions, task.prompts.seen[0]), None)
    labels = task.labels if task.constraint is OneOf else None
    known = {"labels": labels.listing(labels.names, describe=True)} if labels else {}
    for wording in task.prompts.seen:
        if set(placeholders(wording)) <= set(known):
            return Asked(fill(wording, known), labels.names if labels else None)
    raise TaskError(
        f"task '{task.name}' asks about what only a labelled clip tells ('{task.prompts.seen[0]}');"
        " write the instruction yourself"
    )
