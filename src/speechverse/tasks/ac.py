"""Accent classification; the accents are the corpus's, or those below where it has no inventory."""

from __future__ import annotations

from speechverse.tasks.labels import LabelSet
from speechverse.tasks.parsing import label_parser
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import OneOf, Task

SYNONYMS = {
    "american": ("american english", "general american", "us", "us english"),
    "british": ("british english", "english", "uk english"),
    "scottish": ("scots", "scottish english"),
    "caribbean": ("west indian", "jamaican"),
    "received": ("received pronunciation", "rp"),
    "indian": ("indian english",),
    "australian": ("australian english",),
    "canadian": ("canadian english",),
}

AC = Task(
    name="ac",
    title="Accent classification",
    version=4,  # 3 asked in several hundred wordings
    group="psp",
    prompts=PromptSet.load("ac"),
    requires=("accent",),
    target=lambda utterance: utterance.labels["accent"].lower(),
    parser=label_parser(SYNONYMS),
    labels=LabelSet(
        "accent",
        {
            "american": "as in the united states",
            "indian": "as in india",
            "australian": "as in australia",
            "canadian": "as in canada",
            "british": "as in the north of england",
            "scottish": "as in scotland",
            "caribbean": "as in the west indies",
            "received": "as in the south of england, on the old radio",
        },
    ),
    label_field="accent",
    constraint=OneOf,
    metrics=("uar", "macro_f1", "accuracy"),
)
