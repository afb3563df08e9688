"""Intent classification: what the speaker wants; the intents are the corpus's."""

from __future__ import annotations

from speechverse.tasks.parsing import parse_label
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import OneOf, Task

IC = Task(
    name="ic",
    title="Intent classification",
    version=4,  # 3 asked in several hundred wordings
    group="slu",
    prompts=PromptSet.load("ic"),
    requires=("intent",),
    target=lambda utterance: utterance.labels["intent"],
    parser=parse_label,
    label_field="intent",
    constraint=OneOf,
    metrics=("accuracy",),
)
