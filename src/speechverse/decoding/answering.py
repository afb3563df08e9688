"""Asking a model many things: the one way from examples to answers, for validation, evaluation and
the pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import torch
from transformers import LogitsProcessorList, StoppingCriteriaList

from speechverse import audio
from speechverse.decoding.automaton import LabelTrie, SlotListAutomaton, TokenAutomaton
from speechverse.decoding.constraint import ConstraintLogitsProcessor, LoopGuard
from speechverse.decoding.lengths import Ending, LengthLimit, Limit, end_tokens, ending
from speechverse.decoding.patterns import PatternAutomaton
from speechverse.decoding.questions import (
    DEFAULTS,
    DecodingOptions,
    Question,
    default_limit,
    inputs_of,
    pack,
)
from speechverse.decoding.scoring import rank_choices
from speechverse.protocols import Lengths, Model, Processor
from speechverse.tasks import ConstraintSpec, Matches, OneOf, get_task
from speechverse.types import SAMPLING_RATE, Answer, Example, Utterance


def answer(
    model: Model,
    processor: Processor,
    examples: Sequence[Example],
    options: DecodingOptions = DEFAULTS,
    *,
    cache: Any = None,
    transcripts: Mapping[str, str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Answer]:
    """Answers examples in batches; their order is kept, and the size of a batch changes no answer.

    Args:
        cache: Encoder outputs (L, T, D) by utterance, where they were computed before.
        transcripts: Texts by utterance id, to be read instead of the audio.
        progress: Is told, batch by batch, how many examples were just answered.

    Raises:
        AudioError: If a clip cannot be read, or is longer than the model hears.
    """
    questions = [_question(processor, example, cache, transcripts) for example in examples]
    return answer_questions(model, processor, questions, options, progress)


def _question(
    processor: Processor, example: Example, cache: Any, transcripts: Mapping[str, str] | None
) -> Question:
    utterance = example.utterance
    num_samples = round(utterance.duration * SAMPLING_RATE)
    transcript = None if transcripts is None else transcripts[utterance.id]
    length = {"num_samples": num_samples} if transcript is None else {"transcript": transcript}
    return Question(
        instruction=example.prompt,
        num_positions=processor.num_positions(example.prompt, **length),
        seconds=utterance.duration,
        samples=partial(_load, utterance),
        features=None if cache is None else partial(cache.__getitem__, utterance),
        transcript=transcript,
        constraint=get_task(example.task).constraint_for(example.choices),
    )


def _load(utterance: Utterance) -> Any:
    return audio.load(utterance.audio).samples


def answer_questions(
    model: Model,
    processor: Processor,
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
                for question in asked:
                    automaton_of(question.constraint)  # it refuses choices that are spelt alike
                made = rank_choices(model, processor, asked, options)
            else:
                made = _generate(model, processor, asked, options, automaton_of)
            answers.update(zip(batch, made, strict=True))
            if progress:
                progress(len(batch))
    return [answers[index] for index in range(len(questions))]


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


def _automaton(processor: Processor, constraint: ConstraintSpec) -> TokenAutomaton:
    if isinstance(constraint, OneOf):
        return LabelTrie.of(constraint.choices, processor)
    if isinstance(constraint, Matches):
        return PatternAutomaton(constraint.regex, processor)
    return SlotListAutomaton(constraint.labels, processor)


def _generate(
    model: Model,
    processor: Processor,
    questions: Sequence[Question],
    options: DecodingOptions,
    automaton_of: Callable[[ConstraintSpec], TokenAutomaton],
) -> list[Answer]:
    """Answers to one of `pack`'s batches: all constrained, or all free."""
    is_free = options.choice_mode == "free"
    automata = [
        automaton_of(q.constraint) for q in questions if q.constraint is not None and not is_free
    ]
    inputs = inputs_of(processor, questions)
    prompts = inputs["attention_mask"].sum(dim=1).tolist()
    limits = _limits(processor, questions, options, automata, prompts)
    if len(questions) > 1 and _overflows(processor, prompts, limits):
        half = len(questions) // 2
        parts = (questions[:half], questions[half:])
        return [
            made
            for part in parts
            for made in _generate(model, processor, part, options, automaton_of)
        ]
    guard = LoopGuard(processor.end_token_id, processor.config.pad_id, options.num_beams)
    constraint = ConstraintLogitsProcessor(automata, options.num_beams)
    tokens = model.generate(
        **inputs.to(model.device),
        logits_processor=LogitsProcessorList([constraint if automata else guard]),
        stopping_criteria=StoppingCriteriaList(
            [LengthLimit([limit.tokens for limit in limits], model.num_start_tokens)]
        ),
        max_new_tokens=max(limit.tokens for limit in limits),
        num_beams=options.num_beams,
        do_sample=False,
    )
    ends = end_tokens(model, processor)
    endings = [
        ending(row, limit, ends, n in guard.ended)
        for n, (row, limit) in enumerate(zip(tokens.tolist(), limits, strict=True))
    ]
    return _worded(processor, endings, automata)


def _limits(
    processor: Processor,
    questions: Sequence[Question],
    options: DecodingOptions,
    automata: Sequence[TokenAutomaton],
    prompts: Sequence[int],
) -> list[Limit]:
    """Of each answer: labels are never cut, whatever the options say, and nothing goes beyond the
    LLM's positions.
    """
    limits = []
    for number, (question, prompt) in enumerate(zip(questions, prompts, strict=True)):
        automaton = automata[number] if automata else None
        if isinstance(automaton, LabelTrie):
            processor.check_room(Lengths(prompt, automaton.max_length))
            limits.append(Limit(automaton.max_length, "length"))
            continue
        seconds = processor.max_audio_seconds if question.seconds is None else question.seconds
        wanted, room = options.max_new_tokens or default_limit(seconds), processor.room(prompt)
        limits.append(
            Limit(wanted, "length") if room is None or wanted <= room else Limit(room, "positions")
        )
    return limits


def _overflows(processor: Processor, prompts: Sequence[int], limits: Sequence[Limit]) -> bool:
    """Whether a row that has ended would be carried beyond the LLM's positions while others of its
    batch go on.
    """
    room = processor.room(max(prompts))
    return room is not None and max(limit.tokens for limit in limits) > room


def _worded(
    processor: Processor, endings: Sequence[Ending], automata: Sequence[TokenAutomaton]
) -> list[Answer]:
    texts = processor.decode([end.tokens for end in endings])
    for index, automaton in enumerate(automata):
        if isinstance(automaton, LabelTrie):
            texts[index] = automaton.label_of(endings[index].tokens) or texts[index]
    return [
        Answer(text.strip(), ended=end.reason, limit=end.limit)
        for text, end in zip(texts, endings, strict=True)
    ]
