"""One of the user's own classes, whatever they are about: the corpus's labels in
the field `class`.
"""

from __future__ import annotations

from speechverse.tasks.parsing import parse_label
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import OneOf, Task

CLASS = Task(
    name="class",
    title="Own classes",
    group="psp",
    prompts=PromptSet.load("class"),
    requires=("class",),
    target=lambda utterance: utterance.labels["class"],
    parser=parse_label,
    label_field="class",
    constraint=OneOf,
    metrics=("uar", "macro_f1", "accuracy"),
    speech_only=False,  # the classes may be sounds
)
