"""Commands for a robot: a task that `small` does not come with, taught in the quickstart.

A task of your own looks like this: name it in a recipe or on the command line as
`path/to/robot.py:ROBOT`.
"""

from __future__ import annotations

from speechverse.tasks import LabelSet, OneOf, PromptSet, Task
from speechverse.tasks.parsing import parse_label

QUESTION = "What should the robot do: clean, fetch, follow or charge?"

COMMANDS = {
    "clean": "clean a room",
    "fetch": "bring something",
    "follow": "come along",
    "charge": "fill the battery",
}
"""Command → description."""

ROBOT = Task(
    name="robot",
    title="Commands for a robot",
    group="slu",
    prompts=PromptSet(seen=(QUESTION,)),
    requires=("command",),
    target=lambda utterance: utterance.labels["command"],
    parser=parse_label,
    labels=LabelSet("command", COMMANDS),
    constraint=OneOf,
    metrics=("accuracy", "uar"),
)
