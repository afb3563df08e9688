"""What the engine does with the model: the very functions that the pipeline calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from speechverse.decoding import DecodingOptions, Question, answer_questions
from speechverse.longform.writers import Writer
from speechverse.pipeline import SpeechVerse
from speechverse.types import Answer


@dataclass(frozen=True)
class Answering:
    """Answers questions with equal options; each may have a constraint and a seed of its own."""

    loaded: SpeechVerse = field(compare=False)
    options: DecodingOptions
    logprobs: bool
    constraint: type

    def __call__(self, questions: Sequence[Question], /) -> Sequence[Answer]:
        model, processor = self.loaded.model, self.loaded.processor
        return answer_questions(model, processor, questions, self.options, logprobs=self.logprobs)


@dataclass(frozen=True)
class Writing:
    """Writes down stretches of speech, float32 (T,) at 16 kHz each.

    Attributes:
        how: What the writer was made from.
    """

    writer: Writer = field(compare=False)
    how: tuple[Any, ...]

    def __call__(self, clips: Sequence[np.ndarray], /) -> Sequence[Answer]:
        return self.writer(list(clips))
