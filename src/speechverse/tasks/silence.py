"""The transcript of a clip in which nobody speaks: none. A recogniser that was never shown any
makes words of noise.
"""

from __future__ import annotations

from dataclasses import dataclass

from speechverse.tasks.prompts import PromptSet
from speechverse.tasks.task import Task, has_speech
from speechverse.types import Utterance


@dataclass(frozen=True, kw_only=True)
class TranscriptOfNothing(Task):
    """Asks clips without speech alone, in recognition's words; WER has no meaning there, so it is a
    task of its own.
    """

    def missing(self, utterance: Utterance) -> str | None:
        """A clip with speech lacks silence."""
        return "somebody speaks in it" if has_speech(utterance) else None


SILENCE = TranscriptOfNothing(
    name="silence",
    title="No words where nobody speaks",
    group="asr",
    prompts=PromptSet.load("asr"),
    target=lambda utterance: "",
    metrics=("accuracy",),
    speech_only=False,
)
