"""What recordings of people are asked that no built-in task asks: which of ten digits, and whether
this phrase.
"""

from __future__ import annotations

from speechverse.tasks import LabelSet, OneOf, PromptSet, Task, get_task

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
KWS = get_task("kws")


def _digit_task(name: str, title: str, prompts: PromptSet) -> Task:
    return Task(
        name=name,
        title=title,
        group="asr",
        prompts=prompts,
        requires=("text",),
        target=lambda utterance: utterance.text or "",
        parser=get_task("ic").parser,
        labels=LabelSet("digit", dict.fromkeys(DIGITS, "")),
        constraint=OneOf,
        metrics=("accuracy",),
    )


DIGIT = _digit_task("digit", "Digits, asked for a transcript", get_task("asr").prompts)
DIGIT_LISTED = _digit_task(
    "digit_listed",
    "Digits, asked with the list",
    PromptSet(
        seen=("Which of these words is said? {labels}", "Which digit do you hear? One of: {labels}")
    ),
)
WAKE_PHRASE = Task(
    name="wake_phrase",
    title="Wake phrases, each clip asked for its own and for a wrong one",
    group="slu",
    prompts=KWS.prompts,
    requires=("keyword", "said"),
    target=lambda utterance: utterance.labels["said"],
    parser=KWS.parser,
    labels=KWS.labels,
    constraint=OneOf,
    metrics=("balanced_accuracy",),
)
