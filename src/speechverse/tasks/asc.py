"""Audio sentiment classification: whether the speaker sounds pleased, displeased or neither."""

from __future__ import annotations

from speechverse.tasks.labels import LabelSet
from speechverse.tasks.parsing import label_parser
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import OneOf, Task

SYNONYMS = {
    "positive": ("positivity", "pleased", "good"),
    "negative": ("negativity", "displeased", "bad"),
    "neutral": ("neutrality", "neither", "mixed"),
}

ASC = Task(
    name="asc",
    title="Sentiment classification",
    version=4,  # 3 asked in several hundred wordings
    group="psp",
    prompts=PromptSet.load("asc"),
    requires=("sentiment",),
    target=lambda utterance: utterance.labels["sentiment"],
    parser=label_parser(SYNONYMS),
    labels=LabelSet(
        "sentiment",
        {
            "positive": "the speaker sounds pleased",
            "negative": "the speaker sounds displeased",
            "neutral": "the speaker sounds neither pleased nor displeased",
        },
    ),
    label_field="sentiment",
    constraint=OneOf,
    metrics=("uar", "macro_f1", "accuracy"),
)
