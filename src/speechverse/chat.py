"""A conversation about a sound that is encoded once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import Event
from typing import Any, Protocol

from speechverse.clips import Heard
from speechverse.decoding import (
    AnswerStream,
    DecodingOptions,
    Question,
    answer_questions,
    check_streamable,
)
from speechverse.errors import AudioTooLongError
from speechverse.protocols import Model, Processor
from speechverse.tasks import ConstraintSpec
from speechverse.tasks.hints import with_hints
from speechverse.types import Answer, Dialogue, Turn

Choices = Sequence[str] | ConstraintSpec | None
"""The answers allowed, or what else an answer must be; None leaves it free."""


class Loaded(Protocol):
    """A loaded model as conversations and long recordings ask it: `SpeechVerse` is one."""

    model: Model
    processor: Processor

    def ask(self, audio: Any, instruction: Any, **how: Any) -> Any: ...

    def how_to_answer(
        self,
        choices: Choices,
        regex: str | None,
        json_schema: str | Mapping[str, Any] | None,
        options: DecodingOptions | None,
        changes: Mapping[str, Any],
    ) -> tuple[ConstraintSpec | None, DecodingOptions]: ...

    def question(
        self,
        heard: Heard,
        instruction: str,
        constraint: ConstraintSpec | None,
        earlier: Sequence[Turn] = (),
    ) -> Question: ...


class Chat:
    """A conversation about a sound, as `SpeechVerse.chat` begins it: each question is read behind
    the earlier ones and the model's own answers to them.

    Attributes:
        turns: What was asked, with its hints, and answered so far; a known transcript may be added
            as one.
    """

    def __init__(self, model: Loaded, heard: Heard) -> None:
        self.turns: list[Turn] = []
        self._model = model
        self._heard = heard
        self._features = heard.encoded(model.model, model.processor)

    def ask(
        self,
        instruction: str,
        choices: Choices = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        logprobs: bool = False,
        **decoding: Any,
    ) -> Answer:
        """Asks the next thing, with the arguments of `SpeechVerse.ask`; what fails is no turn.

        Raises:
            AudioTooLongError: If the conversation no longer fits into what the LLM reads.
            UserError: If the instruction or the choices are empty, or options exclude each other.
        """
        question, options = self._next(
            instruction, choices, options, regex, json_schema, hints, decoding
        )
        answer = self._answered(question, options, logprobs=logprobs)
        self._note(question, answer)
        return answer

    def stream(
        self,
        instruction: str,
        choices: Choices = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        logprobs: bool = False,
        **decoding: Any,
    ) -> AnswerStream:
        """Asks the next thing, whose answer comes piece by piece, as that of `SpeechVerse.stream`;
        one that is not read to its end is no turn.

        Raises:
            AudioTooLongError: If the conversation no longer fits into what the LLM reads.
            UserError: As for `ask`, and for what does not come piece by piece.
        """
        question, options = self._next(
            instruction, choices, options, regex, json_schema, hints, decoding
        )
        check_streamable(options, [question])

        def answer(on_piece: Callable[[str], None], cancel: Event) -> Answer:
            told = replace(question, on_piece=on_piece)
            return self._answered(told, options, logprobs=logprobs, cancel=cancel)

        return AnswerStream(answer, lambda answer: self._note(question, answer))

    def _next(
        self,
        instruction: str,
        choices: Choices,
        options: DecodingOptions | None,
        regex: str | None,
        json_schema: str | Mapping[str, Any] | None,
        hints: Sequence[str],
        decoding: Mapping[str, Any],
    ) -> tuple[Question, DecodingOptions]:
        model = self._model
        constraint, options = model.how_to_answer(choices, regex, json_schema, options, decoding)
        text = with_hints(instruction, hints)
        try:
            question = model.question(self._heard, text, constraint, self.turns)
        except AudioTooLongError as error:
            if not self.turns:
                raise
            raise AudioTooLongError(
                f"the conversation no longer fits into what the LLM reads: {len(self.turns)}"
                f" earlier turns stand before this one ({error}); begin a new one with chat(...)"
            ) from error
        return replace(question, features=lambda: self._features), options

    def _answered(self, question: Question, options: DecodingOptions, **how: Any) -> Answer:
        model = self._model
        [answer] = answer_questions(model.model, model.processor, [question], options, **how)
        return answer

    def _note(self, question: Question, answer: Answer) -> None:
        asked = question.instruction
        text = asked.instruction if isinstance(asked, Dialogue) else asked
        self.turns.append(Turn(text, answer.text))
