"""Asking a model many things: the one way from examples to answers, for validation, evaluation and
the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

import torch

from speechverse import audio
from speechverse.decoding.drawing import seeded
from speechverse.decoding.generation import Generated, Generator
from speechverse.decoding.options import DEFAULTS, DecodingOptions
from speechverse.decoding.questions import Question, pack
from speechverse.decoding.scoring import rank_choices, token_log_probs
from speechverse.decoding.wording import Wording
from speechverse.errors import CancelledError, UserError
from speechverse.progress import Advance
from speechverse.protocols import Model, Processor
from speechverse.tasks import get_task
from speechverse.types import Answer, Example, TokenLogProb, Utterance

if TYPE_CHECKING:
    from speechverse.data import FeatureCache


def answer(
    model: Model,
    processor: Processor,
    examples: Sequence[Example],
    options: DecodingOptions = DEFAULTS,
    *,
    cache: FeatureCache | None = None,
    transcript_of: Callable[[Utterance], str] | None = None,
    progress: Advance | None = None,
) -> list[Answer]:
    """Answers examples in batches; their order is kept, and the size of a batch changes no answer.

    Args:
        cache: Encoder outputs (L, T, D) by utterance, where they were computed before.
        transcript_of: Gives the text of a clip, to be read instead of the audio.
        progress: Is told, batch by batch, how many examples were just answered.

    Raises:
        AudioError: If a clip cannot be read, or is longer than the model hears.
    """
    questions = [_question(processor, example, cache, transcript_of) for example in examples]
    return answer_questions(model, processor, questions, options, progress)


def _question(
    processor: Processor,
    example: Example,
    cache: FeatureCache | None,
    transcript_of: Callable[[Utterance], str] | None,
) -> Question:
    utterance = example.utterance
    num_samples = utterance.of_clips(lambda clip: clip.num_samples)
    transcript = None if transcript_of is None else utterance.of_clips(transcript_of)
    length = {"num_samples": num_samples} if transcript is None else {"transcript": transcript}
    return Question(
        instruction=example.prompt,
        num_positions=processor.num_positions(example.prompt, **length),
        seconds=sum(clip.duration for clip in utterance.clips),
        samples=partial(utterance.of_clips, _load),
        features=None if cache is None else partial(utterance.of_clips, cache.__getitem__),
        transcript=transcript,
        constraint=get_task(example.task).constraint_for(example.choices),
        name=utterance.id,
    )


def _load(utterance: Utterance) -> Any:
    return audio.load(utterance.audio).samples


def answer_questions(
    model: Model,
    processor: Processor,
    questions: Sequence[Question],
    options: DecodingOptions = DEFAULTS,
    progress: Advance | None = None,
    *,
    logprobs: bool = False,
    cancel: Event | None = None,
) -> list[Answer]:
    """Answers questions that need no task and no corpus; see `answer`.

    Args:
        logprobs: Whether answers carry the log-probabilities of their tokens; it costs one more
            pass of each through the model.
        cancel: Set from another thread, it stops all of it: generation at its next token, the
            scoring of choices at the next of its batches.

    Raises:
        CancelledError: If it was stopped so.
        UserError: If pieces are wanted of what does not come in pieces.
    """
    check_streamable(options, [question for question in questions if question.on_piece])
    if options.draws:
        questions = seeded(questions, options.seed)
    answers: dict[int, Answer] = {}
    if cancel is not None:
        questions = [replace(question, unwanted=cancel.is_set) for question in questions]
    generator = Generator(model, processor, options)
    with _answering(model):
        for batch in pack(questions, options):
            _check_cancelled(cancel)
            asked = [questions[index] for index in batch]
            made = _answer_batch(generator, asked)
            _check_cancelled(cancel)
            if logprobs:
                made = _with_log_probs(generator, asked, made)
            answers.update(zip(batch, (one.answer for one in made), strict=True))
            if progress:
                progress(len(batch))
    return [answers[index] for index in range(len(questions))]


def _check_cancelled(cancel: Event | None) -> None:
    if cancel is not None and cancel.is_set():
        raise CancelledError("the answer was cancelled before its end")


def _answer_batch(generator: Generator, asked: Sequence[Question]) -> list[Generated]:
    if generator.options.choice_mode != "score" or not asked[0].is_scored:
        return generator(asked)
    for question in asked:
        generator.automaton_of(question.constraint)  # it refuses choices that are spelt alike
    ranked = rank_choices(
        generator.model, generator.processor, asked, generator.options, generator.priors
    )
    return [Generated(made, generator.processor.encode_target(made.text)) for made in ranked]


def _with_log_probs(
    generator: Generator, asked: Sequence[Question], made: Sequence[Generated]
) -> list[Generated]:
    """The same answers with what the model itself holds of each token, whatever constrained it."""
    model, processor, options = generator.model, generator.processor, generator.options
    tokens = [one.tokens for one in made]
    wording = Wording(processor, options.stop)
    told = []
    for one, row in zip(
        made, token_log_probs(model, processor, asked, tokens, options), strict=True
    ):
        texts = wording.split(one.tokens, one.answer.text)
        pairs = tuple(TokenLogProb(*pair) for pair in zip(texts, row, strict=True))
        told.append(one._replace(answer=replace(one.answer, logprobs=pairs)))
    return told


def check_streamable(options: DecodingOptions, questions: Sequence[Question]) -> None:
    """Whether answers can come in pieces.

    Raises:
        UserError: If not, with what to leave out.
    """
    if questions and options.num_beams > 1:
        raise UserError(
            "beams are told apart only at the end, so an answer found with num_beams cannot be"
            " streamed: leave out one of them"
        )
    if options.choice_mode == "score" and any(question.is_scored for question in questions):
        raise UserError("scored choices are not generated, so there is nothing to stream")


@contextmanager
def _answering(model: Model) -> Iterator[None]:
    """Evaluation mode without gradients; training goes on as before afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)
