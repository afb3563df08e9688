"""What sounds behind the voice: a task that `small` does not come with, taught in the quickstart.

A task of your own looks like this: name it in a recipe or on the command line as `path/to/background.py:BACKGROUND`.
"""

from __future__ import annotations

from speechverse.tasks import LabelSet, OneOf, PromptSet, Task
from speechverse.tasks.parsing import label_parser

QUESTION = "What is behind the voice?"
"""Short, for time goes by length: the four answers are learned, not read."""

BACKGROUND = Task(
    name="background",
    title="What is behind the voice",
    group="psp",
    prompts=PromptSet(seen=(QUESTION,)),
    requires=("background",),
    target=lambda utterance: utterance.labels["background"],
    parser=label_parser({}),
    labels=LabelSet(
        "background",
        {
            "music": "a tune is playing",
            "rain": "it is raining",
            "people": "others are talking",
            "machines": "an engine or a fan is running",
        },
    ),
    constraint=OneOf,
    metrics=("accuracy", "uar"),
)
