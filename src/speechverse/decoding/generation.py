"""Generating a batch of answers with transformers' `generate`, each row as if it were alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from transformers import LogitsProcessorList, StoppingCriteriaList

from speechverse.decoding.automaton import LabelTrie, SlotListAutomaton, TokenAutomaton
from speechverse.decoding.constraint import ConstraintLogitsProcessor, LoopGuard
from speechverse.decoding.drawing import drawing
from speechverse.decoding.lengths import Ending, LengthLimit, Limit, Unwanted, end_tokens, ending
from speechverse.decoding.options import FREE_ONLY, DecodingOptions
from speechverse.decoding.patterns import PatternAutomaton
from speechverse.decoding.questions import Question, default_limit, inputs_of
from speechverse.decoding.scoring import Priors
from speechverse.decoding.wording import PieceStreamer, StopStrings, Told, Wording
from speechverse.protocols import Lengths, Model, Processor
from speechverse.tasks import ConstraintSpec, Matches, OneOf
from speechverse.types import Answer, Ended


class Generated(NamedTuple):
    """An answer, and the tokens that spell it."""

    answer: Answer
    tokens: list[int]


@dataclass
class Generator:
    """Answers batches of questions, all constrained or all free."""

    model: Model
    processor: Processor
    options: DecodingOptions

    def __post_init__(self) -> None:
        self.priors: Priors = {}
        self.automaton_of = lru_cache(maxsize=256)(self._automaton)
        self.ends = end_tokens(self.model, self.processor)

    def _automaton(self, constraint: ConstraintSpec) -> TokenAutomaton:
        if isinstance(constraint, OneOf):
            return LabelTrie.of(constraint.choices, self.processor)
        if isinstance(constraint, Matches):
            return PatternAutomaton(constraint.regex, self.processor)
        return SlotListAutomaton(constraint.labels, self.processor)

    def __call__(self, questions: Sequence[Question]) -> list[Generated]:
        """Answers one of `pack`'s batches.

        Raises:
            AudioTooLongError: If a prompt and a choice together are more than the LLM can read.
        """
        is_free = self.options.choice_mode == "free"
        automata = [
            self.automaton_of(q.constraint)
            for q in questions
            if q.constraint is not None and not is_free
        ]
        inputs = inputs_of(self.processor, questions)
        prompts = inputs["attention_mask"].sum(dim=1).tolist()
        limits = self._limits(questions, automata, prompts)
        if len(questions) > 1 and self._overflows(prompts, limits):
            half = len(questions) // 2
            return [*self(questions[:half]), *self(questions[half:])]
        options = self.options
        wording = Wording(self.processor, () if automata else options.stop)
        guard = LoopGuard(
            self.processor.end_token_id, self.processor.config.pad_id, options.num_beams
        )
        most = max(limit.tokens for limit in limits)
        shaping = (
            ConstraintLogitsProcessor(automata, options.num_beams) if automata else guard,
            *drawing(options, [question.seed or 0 for question in questions]),
        )
        told = {
            n: Told(wording, question.on_piece, limits[n].tokens)
            for n, question in enumerate(questions)
            if question.on_piece is not None
        }
        tokens = self.model.generate(
            **inputs.to(self.model.device),
            logits_processor=LogitsProcessorList(shaping),
            stopping_criteria=self._stopping(questions, limits, wording),
            max_new_tokens=most,
            num_beams=options.num_beams,
            do_sample=False,  # `drawing` draws, each row for itself
            **({} if automata else self._repetition_control()),
            **_streaming(told, automata),
        )
        made = [
            self._as_generated(
                ending(row, limit, self.ends, n in guard.ended),
                automata[n] if automata else None,
                wording,
            )
            for n, (row, limit) in enumerate(zip(tokens.tolist(), limits, strict=True))
        ]
        for n, one in told.items():
            one.end(made[n].answer.text)
        return made

    def _stopping(
        self, questions: Sequence[Question], limits: Sequence[Limit], wording: Wording
    ) -> StoppingCriteriaList:
        start = self.model.num_start_tokens
        criteria: list[Any] = [LengthLimit([limit.tokens for limit in limits], start)]
        if wording.stop:
            criteria.append(StopStrings(wording, start))
        if any(question.unwanted for question in questions):
            criteria.append(Unwanted([question.unwanted for question in questions]))
        return StoppingCriteriaList(criteria)

    def _repetition_control(self) -> dict[str, Any]:
        chosen = self.options.model_dump(include=set(FREE_ONLY) - {"stop"})
        return {name: value for name, value in chosen.items() if value is not None}

    def _limits(
        self,
        questions: Sequence[Question],
        automata: Sequence[TokenAutomaton],
        prompts: Sequence[int],
    ) -> list[Limit]:
        """Of each answer: labels are never cut, whatever the options say, and nothing goes beyond
        the LLM's positions. A pattern may take what the longest sound may: how much of a form is
        written does not follow from how long somebody spoke, and half of one is of no use.
        """
        processor, limits = self.processor, []
        for number, (question, prompt) in enumerate(zip(questions, prompts, strict=True)):
            automaton = automata[number] if automata else None
            if isinstance(automaton, LabelTrie):
                processor.check_room(Lengths(prompt, automaton.max_length))
                limits.append(Limit(automaton.max_length, "length"))
                continue
            is_form = isinstance(question.constraint, Matches)
            seconds = None if is_form else question.seconds
            seconds = processor.max_audio_seconds if seconds is None else seconds
            wanted = self.options.max_new_tokens or default_limit(seconds)
            room = processor.room(prompt)
            limits.append(
                Limit(wanted, "length")
                if room is None or wanted <= room
                else Limit(room, "positions")
            )
        return limits

    def _overflows(self, prompts: Sequence[int], limits: Sequence[Limit]) -> bool:
        """Whether a row that has ended would be carried beyond the LLM's positions while others of
        its batch go on.
        """
        room = self.processor.room(max(prompts))
        return room is not None and max(limit.tokens for limit in limits) > room

    def _as_generated(
        self, end: Ending, automaton: TokenAutomaton | None, wording: Wording
    ) -> Generated:
        text, stopped = wording(end.tokens)
        if isinstance(automaton, LabelTrie):
            text = automaton.label_of(end.tokens) or text
        reason: Ended = "stop" if stopped else end.reason
        if automaton is not None and reason == "end" and _was_bound_to_end(automaton, end.tokens):
            reason = "constraint"
        tokens, padding = end.tokens, self.processor.config.pad_id
        while tokens[-1:] == [padding] and (stopped or padding not in self.ends):
            tokens = tokens[:-1]  # it waited for longer rows of its batch
        made = Answer(text, ended=reason, limit=end.limit, num_tokens=len(tokens))
        return Generated(made, tokens)


def _streaming(told: Mapping[int, Told], automata: Sequence[TokenAutomaton]) -> dict[str, Any]:
    """A label is told whole: its name is known only when it has ended."""
    if not told or any(isinstance(one, LabelTrie) for one in automata):
        return {}
    return {"streamer": PieceStreamer(told)}


def _was_bound_to_end(automaton: TokenAutomaton, tokens: Sequence[int]) -> bool:
    """Whether nothing but the end token, which closes these, could come where it came."""
    state: Any = automaton.start
    for token in tokens[:-1]:
        state = automaton.advance(state, token)
        if state is None:
            return False
    return len(automaton.allowed(state)) == 1
