"""Emotion recognition from the way something is said."""

from __future__ import annotations

from speechverse.tasks.labels import LabelSet
from speechverse.tasks.parsing import label_parser
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import OneOf, Task

SYNONYMS = {
    "happy": ("happiness", "joy", "joyful", "cheerful"),
    "sad": ("sadness", "unhappy", "sorrow"),
    "angry": ("anger", "mad", "furious"),
    "neutral": ("neutrality", "calm", "no emotion"),
}

ER = Task(
    name="er",
    title="Emotion recognition",
    version=4,  # 3 asked in several hundred wordings
    group="psp",
    prompts=PromptSet.load("er"),
    requires=("emotion",),
    target=lambda utterance: utterance.labels["emotion"],
    parser=label_parser(SYNONYMS),
    labels=LabelSet(
        "emotion",
        {
            "happy": "a bright, lively voice",
            "sad": "a slow, low, dull voice",
            "angry": "a loud, fast, hard voice",
            "neutral": "an even, ordinary voice",
        },
    ),
    label_field="emotion",
    constraint=OneOf,
    metrics=("uar", "macro_f1", "accuracy"),
)
