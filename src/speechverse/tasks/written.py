"""A task of the user's, written as a YAML file instead of code (docs/extending.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from speechverse.config import Config, describe_fault
from speechverse.errors import TaskError, unknown_name
from speechverse.tasks.labels import LabelSet, as_name
from speechverse.tasks.parsing import Parser, join_keywords, parse_keywords, parse_label, parse_text
from speechverse.tasks.prompts import PromptSet, placeholders
from speechverse.tasks.task import OneOf, Task
from speechverse.types import Utterance
from speechverse.yaml_files import read_yaml

AnswerKind = Literal["label", "text", "list"]

_PARSERS: Mapping[AnswerKind, Parser] = {
    "label": parse_label,
    "text": parse_text,
    "list": parse_keywords,
}
_METRICS: Mapping[AnswerKind, list[str]] = {
    "label": ["uar", "accuracy"],
    "text": ["chrf"],
    "list": ["keyword_f1"],
}


class Instructions(Config):
    """What is asked, in words; `{labels}` lists the labels."""

    seen: list[str] = Field(min_length=1, description="Wordings that training draws from.")
    held_out: list[str] = Field(default=[], description="Wordings never trained on.")


class TaskFile(Config):
    """The keys of a task's file."""

    name: str = Field(min_length=1, description="Short name, as in recipes and results.")
    title: str | None = Field(default=None, description="Name for people; by default the name.")
    version: int = Field(default=1, ge=1, description="Raise it when results mean another thing.")
    field: str = Field(description="The label of an utterance that holds the answer, or `text`.")
    answer: AnswerKind | None = Field(
        default=None,
        description="What the answer is; by default a label where there are labels, else text.",
    )
    labels: dict[str, str | None] | list[str] | None = Field(
        default=None,
        description="Labels with their meanings, or a list; without any, the corpus's.",
    )
    about_the_voice: bool = Field(
        default=False, description="Whether it lies in how something is said."
    )
    speech_only: bool = Field(
        default=True, description="Whether clips without speech are left out."
    )
    instructions: Instructions
    metrics: list[str] | None = Field(
        default=None, description="Names of metrics, the headline first."
    )

    @property
    def kind(self) -> AnswerKind:
        """What the answer is."""
        return self.answer or ("label" if self.labels else "text")

    def task(self) -> Task:
        """The task that is written here.

        Raises:
            TaskError: If its parts do not fit each other.
        """
        is_label = self.kind == "label"
        self._check(is_label)
        named = self.labels if isinstance(self.labels, dict) else dict.fromkeys(self.labels or ())
        return Task(
            name=self.name,
            title=self.title or self.name,
            group="psp" if self.about_the_voice else "slu",
            version=self.version,
            prompts=PromptSet(tuple(self.instructions.seen), tuple(self.instructions.held_out)),
            requires=(self.field,),
            target=partial(_answer_of, field=self.field, kind=self.kind),
            parser=_PARSERS[self.kind],
            labels=LabelSet(self.field, {name: named[name] or "" for name in named})
            if named
            else None,
            label_field=self.field if is_label and not named else None,
            constraint=OneOf if is_label else None,
            metrics=tuple(self.metrics or _METRICS[self.kind]),
            speech_only=self.speech_only,
        )

    def _check(self, is_label: bool) -> None:
        if self.labels and not is_label:
            raise TaskError(f"labels: an answer that is a {self.kind} has none; leave them out")
        allowed = {"labels"} if is_label else set[str]()
        for wording in (*self.instructions.seen, *self.instructions.held_out):
            for name in placeholders(wording):
                if name not in allowed:
                    fault = unknown_name("placeholder", name, allowed)
                    raise TaskError(f"instructions: '{wording}': {fault}")


def read_task(path: Path) -> Task:
    """The task in a YAML file.

    Raises:
        TaskError: If the file cannot be read, has unknown keys or wrong values, or they do not fit.
    """
    try:
        values = read_yaml(path)
    except (OSError, ValueError) as error:
        raise TaskError(f"the task '{path}' cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise TaskError(f"the task '{path}' is no mapping of keys to values; see docs/extending.md")
    try:
        return TaskFile.model_validate(values).task()
    except ValidationError as error:
        faults = "\n  ".join(describe_fault(item, TaskFile, values) for item in error.errors())
        raise TaskError(f"the task '{path}':\n  {faults}") from None
    except TaskError as error:
        raise TaskError(f"the task '{path}': {error}") from error


def _answer_of(utterance: Utterance, field: str, kind: AnswerKind) -> str:
    value: Any = utterance.text if field == "text" else utterance.labels[field]
    if kind == "list":
        return _join(value, field)
    if (name := as_name(value)) is not None:
        return name
    raise TaskError(f"'{field}' is {value!r}, not a {kind}")


def _join(value: Any, field: str) -> str:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or not all(isinstance(item, str) for item in value):
        raise TaskError(f"'{field}' is {value!r}, not a list of words")
    return join_keywords(value)
