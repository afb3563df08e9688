"""What `speechverse ask` asks, and how answers are written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from speechverse.cli.options import FP32
from speechverse.errors import UserError

if TYPE_CHECKING:
    from speechverse.audio import AudioSource
    from speechverse.chat import Chat
    from speechverse.decoding import AnswerStream, DecodingOptions
    from speechverse.longform.whole import WholeAnswer
    from speechverse.pipeline import SpeechVerse
    from speechverse.progress import Advance
    from speechverse.tasks import TaskQuestion
    from speechverse.types import Answer

SYSTEMS = ("speechverse", "cascade-whisper")
OPTIONAL = (
    "system",
    "task",
    "choices",
    "regex",
    "json_schema",
    "hints",
    "decoding",
    "with_logprobs",
    "precision",
    "language",
)
"""Keys of a question that not every question has."""


@dataclass(frozen=True)
class Asked:
    """One question, for any clip.

    Attributes:
        instruction: In words.
        model: The model's name.
        options: How answers are made.
        task: Whose question it is, if it is a task's.
        choices: The answers allowed.
        regex: Instead, what the whole answer matches.
        json_schema: Instead, a schema that the answer is JSON of.
        hints: Words that may be heard.
        system: Who answers.
        logprobs: Whether answers carry the log-probabilities of their tokens.
        precision: Of the model.
        language: What is spoken, where who answers is told.
    """

    instruction: str
    model: str
    options: DecodingOptions
    task: TaskQuestion | None = None
    choices: Sequence[str] | None = None
    regex: str | None = None
    json_schema: str | None = None
    hints: Sequence[str] = ()
    system: str = "speechverse"
    logprobs: bool = False
    precision: str = FP32
    language: str | None = None

    def check(self) -> None:
        """Whether it can be asked at all, before a model is loaded."""
        from speechverse.pipeline import constraint_of, options_for
        from speechverse.tasks import OneOf

        if self.task and (self.regex or self.json_schema):
            raise UserError(
                "a task says itself what its answers may be: leave out regex and schema"
            )
        constraint = constraint_of(**self._constraint)
        options_for(constraint, self.options, {})
        if self.options.choice_mode == "score" and not isinstance(constraint, OneOf):
            raise UserError(
                "--scores scores choices; name them with --choices a,b,c, or a --task that has some"
            )

    @property
    def _constraint(self) -> dict[str, Any]:
        choices = self.task.constraint if self.task else self.choices
        return {"choices": choices, "regex": self.regex, "json_schema": self.json_schema}

    @property
    def _how(self) -> dict[str, Any]:
        return {**self._constraint, "options": self.options, "hints": self.hints}

    def of(self, answering: Any, sound: AudioSource) -> Answer:
        """The answer about one clip."""
        return answering.ask(sound, self.instruction, **self._how, logprobs=self.logprobs)

    def of_whole(self, loaded: SpeechVerse, sound: AudioSource, progress: Advance) -> WholeAnswer:
        """The answer about a recording of any length, made of answers about its parts."""
        return loaded.ask_whole(sound, self.instruction, **self._how, progress=progress)

    def next_in(self, chat: Chat) -> Answer:
        """The answer behind the earlier turns of a conversation."""
        return chat.ask(self.instruction, **self._how, logprobs=self.logprobs)

    def of_all(self, answering: Any, sounds: list[AudioSource]) -> list[Answer]:
        """Answers about clips; those that cannot be heard have an error."""
        how: dict[str, Any] = {"logprobs": self.logprobs, "on_error": "skip"}
        return answering.ask(sounds, self.instruction, **self._how, **how)

    def streamed(self, answering: Any, sound: AudioSource) -> AnswerStream:
        """The answer about one clip, piece by piece."""
        return answering.stream(sound, self.instruction, **self._how, logprobs=self.logprobs)

    def parsed(self, answer: Answer) -> Any:
        """What the answer means to the task, as plain values; None if it cannot be read."""
        from speechverse.tasks import UNPARSED

        assert self.task is not None
        return _plain(self.task.parse(answer.text), UNPARSED)

    def identity(self) -> dict[str, Any]:
        """Everything that an answer depends on besides the clip, as plain values."""
        from speechverse.decoding.options import NO_MATTER

        decoding = self.options.model_dump(mode="json", exclude_defaults=True, exclude=NO_MATTER)
        given = {
            "system": None if self.system == SYSTEMS[0] else self.system,
            "task": self.task and self.task.task.name,
            "choices": self.choices and list(self.choices),
            "regex": self.regex,
            "json_schema": self.json_schema,
            "hints": list(self.hints),
            "decoding": decoding,
            "language": self.language,
            "precision": None if self.precision == FP32 else self.precision,
        }
        return {
            "instruction": self.instruction,
            "model": self.model,
            **{key: value for key, value in given.items() if value},
        }

    def record(self, answer: Answer) -> dict[str, Any]:
        """An answer as JSON has it, without the question."""
        if answer.error is not None:
            return {"error": answer.error}
        told: dict[str, Any] = {"answer": answer.text, "ended": answer.ended}
        if self.task is not None:
            told["parsed"] = self.parsed(answer)
        if answer.transcript is not None:
            told["transcript"] = answer.transcript
        if answer.choice_scores:
            told["choice_scores"] = dict(answer.choice_scores)
            told["choice_probs"] = answer.choice_probs
        if answer.logprobs is not None:
            told["logprobs"] = [one._asdict() for one in answer.logprobs]
        return told


def _plain(prediction: Any, unparsed: Any) -> Any:
    if prediction is unparsed:
        return None
    if isinstance(prediction, dict):
        return {name: _plain(one, unparsed) for name, one in prediction.items()}
    if isinstance(prediction, tuple):
        return [_plain(one, unparsed) for one in prediction]
    return prediction
