"""Tasks: what can be asked of an utterance, each one frozen value in one file of its own.

A new task is one file and one line in `TASKS`; a user's own task stays in the user's file
(docs/extending.md).
"""

from __future__ import annotations

from speechverse.metrics.types import UNPARSED
from speechverse.tasks.labels import LabelSet
from speechverse.tasks.parsing import parse_label, parse_slots
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.registry import TASKS, get_task, task_names
from speechverse.tasks.task import Ask, ConstraintSpec, Matches, OneOf, SlotList, Task
from speechverse.tasks.task_question import TaskQuestion

__all__ = [
    "TASKS",
    "UNPARSED",
    "Ask",
    "ConstraintSpec",
    "LabelSet",
    "Matches",
    "OneOf",
    "PromptSet",
    "SlotList",
    "Task",
    "TaskQuestion",
    "get_task",
    "parse_label",
    "parse_slots",
    "task_names",
]
