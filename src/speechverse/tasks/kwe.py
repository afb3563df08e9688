"""Keyword extraction: the words that matter, in spoken order."""

from __future__ import annotations

from speechverse.tasks.parsing import join_keywords, parse_keywords
from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import Task

KWE = Task(
    name="kwe",
    title="Keyword extraction",
    version=5,  # 3 asked in several hundred wordings, 4 read no lists in lines
    group="slu",
    prompts=PromptSet.load("kwe"),
    requires=("keywords",),
    target=lambda utterance: join_keywords(utterance.labels["keywords"]).lower(),
    parser=parse_keywords,
    metrics=("keyword_f1",),
)
