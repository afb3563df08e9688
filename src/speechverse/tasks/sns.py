"""Speech or non-speech: whether anybody speaks at all."""

from __future__ import annotations

from speechverse.tasks.labels import LabelSet
from speechverse.tasks.parsing import label_parser
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import OneOf, Task

SYNONYMS = {
    "speech": ("yes", "voice", "speaking"),
    "non-speech": ("no", "nonspeech", "no speech", "not speech", "noise", "music", "silence"),
}

SNS = Task(
    name="sns",
    title="Speech detection",
    version=3,  # 2 asked in several hundred wordings
    group="psp",
    prompts=PromptSet.load("sns"),
    requires=("is_speech",),
    target=lambda utterance: "speech" if utterance.labels["is_speech"] else "non-speech",
    parser=label_parser(SYNONYMS),
    labels=LabelSet(
        "is_speech", {"speech": "somebody speaks", "non-speech": "only noise, music or silence"}
    ),
    constraint=OneOf,
    speech_only=False,
    metrics=("uar", "macro_f1", "accuracy"),
)
