"""Automatic speech recognition: the words that are said."""

from __future__ import annotations

from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import Task

ASR = Task(
    name="asr",
    title="Speech recognition",
    version=4,  # 3 asked in several hundred wordings
    group="asr",
    prompts=PromptSet.load("asr"),
    requires=("text",),
    target=lambda utterance: utterance.text or "",
    metrics=("wer", "cer"),
    takes_hints=True,
)
