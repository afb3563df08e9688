"""Tasks by name: the built-in ones, loaded when first asked for, and the user's own from the user's
files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from speechverse.errors import TaskError
from speechverse.registry import Registry
from speechverse.tasks.joint import SIGN, joint
from speechverse.tasks.task import Task
from speechverse.types import Utterance

OF_OWN_LABELS = ("follow",)
"""Built-in tasks that "all tasks" has only where a corpus has the labels they ask for."""

BY_NAME = ("class", "silence", "hints", "open", "open-shown")
"""Built-in tasks that are asked only where somebody names them."""

TASKS: Registry[Task] = Registry(
    "task",
    {
        "asr": "speechverse.tasks.asr:ASR",
        "st": "speechverse.tasks.st:ST",
        "ic": "speechverse.tasks.ic:IC",
        "sf": "speechverse.tasks.sf:SF",
        "kwe": "speechverse.tasks.kwe:KWE",
        "kws": "speechverse.tasks.kws:KWS",
        "er": "speechverse.tasks.er:ER",
        "asc": "speechverse.tasks.asc:ASC",
        "ac": "speechverse.tasks.ac:AC",
        "sc": "speechverse.tasks.sc:SC",
        "sns": "speechverse.tasks.sns:SNS",
        "follow": "speechverse.tasks.follow:FOLLOW",
        "class": "speechverse.tasks.own_class:CLASS",
        "silence": "speechverse.tasks.silence:SILENCE",
        "hints": "speechverse.tasks.hinted:HINTS",
        "open": "speechverse.tasks.open_ended:OPEN",
        "open-shown": "speechverse.tasks.open_ended:OPEN_SHOWN",
    },
    lambda value: isinstance(value, Task),
    error=TaskError,
    from_yaml="speechverse.tasks.written:read_task",
)
"""Every built-in task, in the order tables show them: the paper's eleven first."""


def task_names(utterances: Iterable[Utterance] = ()) -> tuple[str, ...]:
    """Names of the paper's tasks, of others that one of the utterances has the labels for, and of
    users' own.
    """
    others = {name: TASKS[name] for name in OF_OWN_LABELS}
    found = {
        name
        for utterance in utterances
        for name, task in others.items()
        if task.applies_to(utterance)
    }
    always = (name for name in TASKS if name not in (*OF_OWN_LABELS, *BY_NAME))
    return (*always, *(name for name in OF_OWN_LABELS if name in found), *TASKS.own)


def get_task(name: str) -> Task:
    """The task of that name, or of a user's file, `path/to/file.py:NAME` or `path/to/file.yaml`,
    which is then known by its own name too.

    Names with `+` between them are asked jointly, in that order: `asr+kwe`.

    Raises:
        TaskError: If there is no such task (it names the nearest one), or the file cannot be used.
    """
    is_file = Path(name).suffix in (".yaml", ".yml") and Path(name).is_file()
    if SIGN in name and ":" not in name and not is_file:
        return joint(*name.split(SIGN))
    return TASKS[name]
