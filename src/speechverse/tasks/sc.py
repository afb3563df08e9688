"""Speaker counting: one voice or two."""

from __future__ import annotations

from speechverse.tasks.labels import LabelSet
from speechverse.tasks.parsing import label_parser
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import OneOf, Task

SYNONYMS = {
    "one": ("1", "single", "one speaker", "1 speaker", "one person"),
    "two": ("2", "both", "two speakers", "2 speakers", "two people"),
}

SC = Task(
    name="sc",
    title="Speaker counting",
    version=3,  # 2 asked in several hundred wordings
    group="psp",
    prompts=PromptSet.load("sc"),
    requires=("num_speakers",),
    target=lambda utterance: str(utterance.labels["num_speakers"]),
    parser=label_parser(SYNONYMS),
    labels=LabelSet("num_speakers", {"one": "a single voice", "two": "two different voices"}),
    constraint=OneOf,
    metrics=("uar", "macro_f1", "accuracy"),
)
