"""Tasks by name: the built-in ones, loaded when first asked for, and the user's own from the user's files."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from speechverse.errors import TaskError, unknown_name
from speechverse.tasks.task import Task
from speechverse.types import Utterance

TASKS: dict[str, str] = {
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
}
"""Every built-in task, as `name: "module:VALUE"`, in the order tables show them."""

OF_OWN_LABELS: dict[str, str] = {"follow": "speechverse.tasks.follow:FOLLOW"}
"""Built-in tasks beside the paper's eleven: "all tasks" has them only where a corpus has the labels they ask for."""

BY_NAME: dict[str, str] = {
    "class": "speechverse.tasks.own_class:CLASS",
    "silence": "speechverse.tasks.silence:SILENCE",
}
"""Built-in tasks that are asked only where somebody names them."""

_BUILT_IN = TASKS | OF_OWN_LABELS | BY_NAME
_user_tasks: dict[str, tuple[str, Task]] = {}


def task_names(utterances: Iterable[Utterance] = ()) -> tuple[str, ...]:
    """Names of the paper's tasks, of others that one of the utterances has the labels for, and of users' own."""
    others = {name: get_task(name) for name in OF_OWN_LABELS}
    found = {name for utterance in utterances for name, task in others.items() if task.applies_to(utterance)}
    return (*TASKS, *(name for name in OF_OWN_LABELS if name in found), *_user_tasks)


def get_task(name: str) -> Task:
    """The task of that name, or of a user's file.

    Args:
        name: A name such as "ic", or a user's own `path/to/file.py:NAME`.

    Raises:
        TaskError: If there is no such task; it names the nearest one.
    """
    if ":" in name:
        return load_user_task(name)
    if name in _user_tasks:
        return _user_tasks[name][1]
    if name not in _BUILT_IN:
        known = (*task_names(), *OF_OWN_LABELS, *BY_NAME)
        raise TaskError(f"{unknown_name('task', name, known)}; a task of your own is given as my_tasks.py:NAME")
    module, _, attribute = _BUILT_IN[name].partition(":")
    task = getattr(importlib.import_module(module), attribute)
    assert task.name == name, f"{_BUILT_IN[name]} calls itself '{task.name}', the registry '{name}'"
    return task


def load_user_task(spec: str) -> Task:
    """Load a task from a Python file and make it known by its name; `get_task(task.name)` finds it from then on.

    Args:
        spec: `path/to/file.py:NAME`, the file and the variable that holds the Task.

    Raises:
        TaskError: If the file, or a Task of that name in it, is not there, or another task has the task's name.
    """
    path_part, _, attribute = spec.rpartition(":")
    path = Path(path_part).expanduser().resolve()
    if path.suffix != ".py" or not path.is_file():
        raise TaskError(f"no Python file '{path}'; a task of your own is given as path/to/file.py:NAME")
    module = _run_file(path)
    known = [name for name, value in vars(module).items() if isinstance(value, Task)]
    if attribute not in known:
        raise TaskError(f"in '{path}': {unknown_name('task', attribute, known)}")
    return _register(getattr(module, attribute), f"{path}:{attribute}")


def _run_file(path: Path) -> ModuleType:
    module_spec = importlib.util.spec_from_file_location(f"speechverse_user_{path.stem}", path)
    assert module_spec is not None and module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    try:
        module_spec.loader.exec_module(module)
    except TaskError:
        raise
    except Exception as error:
        raise TaskError(f"'{path}' could not be run: {type(error).__name__}: {error}") from error
    return module


def _register(task: Task, source: str) -> Task:
    taken_by = _BUILT_IN.get(task.name) or _user_tasks.get(task.name, (source,))[0]
    if taken_by != source:
        raise TaskError(f"the name '{task.name}' of {source} is taken by {taken_by}; give your task another name")
    _user_tasks[task.name] = (source, task)
    return task
