"""What a model is asked, free of tasks and corpora, and how its answers are to be made."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from torch import Tensor

from speechverse.batching import cut_into_batches
from speechverse.decoding.options import DecodingOptions
from speechverse.protocols import ModelBatch, Processor
from speechverse.tasks import ConstraintSpec, OneOf
from speechverse.types import TOKENS_A_SECOND, TOKENS_BESIDE, Prompt


def default_limit(seconds: float) -> int:
    """Tokens that an answer to so much audio may have: more than a fast speaker's words take, and
    some beside.
    """
    return TOKENS_BESIDE + math.ceil(TOKENS_A_SECOND * seconds)


@dataclass(frozen=True, slots=True)
class Question:
    """One instruction about one sound, which comes as samples, as cached encoder output or as its
    transcript.

    Attributes:
        instruction: As the model reads it.
        num_positions: LLM positions it costs, roughly; batches are packed by it.
        samples: Loads the sound, float32 (T,) at 16 kHz; of several clips a list.
        features: Loads cached encoder output, (L, T, D); of several clips a list.
        transcript: Text that stands where the sound would; of several clips a list.
        constraint: What answers are allowed; None leaves them free.
        seconds: Length of the sound, by which the limit of its answer grows; None takes the longest
            the model hears.
        name: Of the sound, by which draws of its answer are the same again.
        seed: Of those draws; None has one made, see `drawing.seeded`.
        on_piece: Is told its answer piece by piece, as it comes.
        unwanted: Whether nobody waits for its answer any longer, which then ends where it is.
    """

    instruction: Prompt
    num_positions: int
    samples: Callable[[], np.ndarray | list[np.ndarray]] | None = None
    features: Callable[[], Tensor | list[Tensor]] | None = None
    transcript: str | list[str] | None = None
    constraint: ConstraintSpec | None = None
    seconds: float | None = None
    name: str = ""
    seed: int | None = None
    on_piece: Callable[[str], None] | None = None
    unwanted: Callable[[], bool] | None = None

    @property
    def is_scored(self) -> bool:
        """Whether the answer is one of a set that can be scored choice by choice."""
        return isinstance(self.constraint, OneOf)


def inputs_of(processor: Processor, questions: Sequence[Question]) -> ModelBatch:
    """The processor's batch for some questions, all given the same way."""
    instructions = [question.instruction for question in questions]
    if questions[0].transcript is not None:
        transcripts = [question.transcript or "" for question in questions]
        return processor(instructions, transcripts=transcripts, generation=True)
    if questions[0].features is not None:
        features = [question.features() for question in questions if question.features]
        return processor(instructions, features=features, generation=True)
    audio = [question.samples() for question in questions if question.samples]
    return processor(instructions, audio=audio, generation=True)


def pack(questions: Sequence[Question], options: DecodingOptions) -> list[list[int]]:
    """Batches of question numbers: like with like (scored, constrained, free), longest first,
    within the budget.
    """

    def kind(index: int) -> str:
        return type(questions[index].constraint).__name__

    def length(index: int) -> int:
        return questions[index].num_positions * options.num_beams

    order = sorted(range(len(questions)), key=lambda index: (kind(index), -length(index)))
    budget, most = options.batch_positions, options.max_batch
    return [
        batch
        for _, alike in groupby(order, kind)
        for batch in cut_into_batches(alike, length, budget, most)
    ]
