"""Asking a model many things: the one way from examples to answers, for validation, evaluation and the pipeline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessorList

from speechverse import audio
from speechverse.decoding.automaton import LabelTrie, SlotListAutomaton, TokenAutomaton
from speechverse.decoding.constraint import ConstraintLogitsProcessor, LoopGuard
from speechverse.decoding.questions import DEFAULTS, DecodingOptions, Question, inputs_of, pack
from speechverse.decoding.scoring import rank_choices
from speechverse.tasks import OneOf, SlotList, get_task
from speechverse.types import SAMPLING_RATE, Answer, Example, Utterance

logger = logging.getLogger(__name__)


def answer(
    model: Any,
    processor: Any,
    examples: Sequence[Example],
    options: DecodingOptions = DEFAULTS,
    *,
    cache: Any = None,
    transcripts: Mapping[str, str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Answer]:
    """Answers examples in batches; their order is kept, and the size of a batch changes no answer.

    Args:
        model: A SpeechVerse model.
        processor: Its processor.
        examples: What is asked.
        options: How answers are made.
        cache: Encoder outputs (L, T, D) by utterance, where they were computed before.
        transcripts: Texts by utterance id, to be read instead of the audio.
        progress: Is told, batch by batch, how many examples were just answered.

    Raises:
        AudioError: If a clip cannot be read, or is longer than the model hears.
    """
    questions = [_question(processor, example, cache, transcripts) for example in examples]
    return answer_questions(model, processor, questions, options, progress)


def _question(processor: Any, example: Example, cache: Any, transcripts: Mapping[str, str] | None) -> Question:
    utterance = example.utterance
    num_samples = round(utterance.duration * SAMPLING_RATE)
    transcript = None if transcripts is None else transcripts[utterance.id]
    length = {"num_samples": num_samples} if transcript is None else {"transcript": transcript}
    return Question(
        instruction=example.instruction,
        num_positions=processor.num_positions(example.instruction, **length),
        samples=partial(_load, utterance),
        features=None if cache is None else partial(cache.__getitem__, utterance),
        transcript=transcript,
        constraint=get_task(example.task).constraint_for(example.choices),
    )


def _load(utterance: Utterance) -> Any:
    return audio.load(utterance.audio).samples


def answer_questions(
    model: Any,
    processor: Any,
    questions: Sequence[Question],
    options: DecodingOptions = DEFAULTS,
    progress: Callable[[int], None] | None = None,
) -> list[Answer]:
    """Answers questions that need no task and no corpus; see `answer`."""
    answers: dict[int, Answer] = {}
    automaton_of = lru_cache(maxsize=256)(partial(_automaton, processor))
    with _answering(model):
        for batch in pack(questions, options):
            asked = [questions[index] for index in batch]
            if options.choice_mode == "score" and asked[0].is_scored:
                made = rank_choices(model, processor, asked, options)
            else:
                made = _generate(model, processor, asked, options, automaton_of)
            answers.update(zip(batch, made, strict=True))
            if progress:
                progress(len(batch))
    return [answers[index] for index in range(len(questions))]


@contextmanager
def _answering(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients; training goes on as before afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def _automaton(processor: Any, constraint: OneOf | SlotList) -> TokenAutomaton:
    if isinstance(constraint, OneOf):
        return LabelTrie.of(constraint.choices, processor)
    return SlotListAutomaton(constraint.labels, processor)


def _generate(
    model: Any,
    processor: Any,
    questions: Sequence[Question],
    options: DecodingOptions,
    automaton_of: Callable[[OneOf | SlotList], TokenAutomaton],
) -> list[Answer]:
    """Answers to one of `pack`'s batches: all constrained, or all free."""
    is_free = options.choice_mode == "free"
    automata = [automaton_of(q.constraint) for q in questions if q.constraint is not None and not is_free]
    guard = LoopGuard(processor.end_token_id, processor.tokenizer.pad_token_id, options.num_beams)
    constraint = ConstraintLogitsProcessor(automata, options.num_beams)
    tokens = model.generate(
        **inputs_of(processor, questions).to(model.device),
        logits_processor=LogitsProcessorList([constraint if automata else guard]),
        max_new_tokens=_room(automata, options),
        num_beams=options.num_beams,
        do_sample=False,
    )
    if guard.ended:
        logger.info("%d of %d answers turned in circles and were ended", len(guard.ended), len(questions))
    return _worded(processor, tokens, automata)


def _room(automata: Sequence[TokenAutomaton], options: DecodingOptions) -> int:
    """New tokens a batch may take: labels are never cut, whatever the option says."""
    longest = options.max_new_tokens
    return max((a.max_length if isinstance(a, LabelTrie) else longest for a in automata), default=longest)


def _worded(processor: Any, tokens: Tensor, automata: Sequence[TokenAutomaton]) -> list[Answer]:
    texts = processor.decode(tokens)
    for index, automaton in enumerate(automata):
        if isinstance(automaton, LabelTrie):
            texts[index] = automaton.label_of(tokens[index].tolist()) or texts[index]
    return [Answer(text=text.strip()) for text in texts]
