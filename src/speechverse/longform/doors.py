"""What is asked most often of a loaded model, each in one call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, get_args

from speechverse.audio import AudioSource
from speechverse.batching import in_batches
from speechverse.chat import Choices, Loaded
from speechverse.decoding import DecodingOptions
from speechverse.errors import UserError, unknown_name
from speechverse.longform import listening
from speechverse.longform.listening import AT_ONCE, OnError
from speechverse.longform.many import Sound, many
from speechverse.longform.transcript import Segment, Transcript
from speechverse.longform.whole import WholeAnswer, answer_parts, combine
from speechverse.longform.writers import Decoder, LlmWriter, Writer, Writers
from speechverse.progress import Advance, ignore
from speechverse.tasks import TaskQuestion
from speechverse.tasks.prompts import fill
from speechverse.tasks.st import LANGUAGES, ST
from speechverse.types import Answer


class Doors(Loaded):
    """Ways to ask that `SpeechVerse` has beside `ask`.

    Each takes one sound, a list of them (and gives a list), or an iterator (and gives one, which
    takes sounds as its results are asked for: a thousand files need no more memory than one).
    """

    @many
    def transcribe(
        self,
        sounds: Iterable[AudioSource],
        *,
        decoder: Decoder | None = None,
        language: str | None = None,
        hints: Sequence[str] = (),
        on_error: OnError = "raise",
        progress: Advance = ignore,
    ) -> Iterator[Transcript]:
        """Writes down what is said, with times, in sounds of any length.

        They are cut at their pauses, and files are read piece by piece.

        Args:
            sounds: One sound, a list, or an iterator.
            decoder: "own" for the decoder that comes with the encoder (a Whisper has one), "llm"
                for the LLM; by default its own where there is one. The transcript says which.
            language: Code of what is spoken, for the own decoder; "auto" has it find that out.
            hints: Words that may be heard, for the LLM.
            on_error: As for `ask`.
            progress: Is told how many more seconds of sound are done with.

        Raises:
            AudioError: If a sound cannot be read.
            CheckpointError: If its own decoder is wanted and there is none.
            UserError: If the language is not known, or who writes has no use for it or for hints.
        """
        _check_on_error(on_error)
        writer = self.writer(decoder, language, hints)
        return listening.transcripts(sounds, writer, on_error, progress)

    def segments(
        self,
        sound: AudioSource,
        *,
        decoder: Decoder | None = None,
        language: str | None = None,
        hints: Sequence[str] = (),
    ) -> Iterator[Segment]:
        """As `transcribe`, of one sound, segment by segment as they are written."""
        return listening.segments(sound, self.writer(decoder, language, hints))

    def writer(
        self,
        decoder: Decoder | None = None,
        language: str | None = None,
        hints: Sequence[str] = (),
    ) -> Writer:
        """Who writes for `transcribe`, with its arguments and errors."""
        return self._writers.find(decoder, language, hints)

    @many
    def translate(
        self,
        sounds: Iterable[AudioSource],
        to: str,
        *,
        on_error: OnError = "raise",
        progress: Advance = ignore,
    ) -> Iterator[Transcript]:
        """Has the LLM write in another language what is said, in sounds of any length; into English
        the encoder's own decoder, where it is a Whisper's.

        Args:
            sounds: One sound, a list, or an iterator.
            to: Code of the language, such as "de".
            on_error: As for `ask`.
            progress: Is told how many more seconds of sound are done with.

        Raises:
            AudioError: If a sound cannot be read.
            UserError: If the task `st` does not know the language, or nobody here writes English.
        """
        _check_on_error(on_error)
        return listening.transcripts(sounds, self.translator(to), on_error, progress)

    def translator(self, to: str) -> Writer:
        """Who writes for `translate`, with its errors."""
        if to == "en":
            return self._writers.into_english()
        if to not in LANGUAGES:
            raise UserError(unknown_name("language to translate into", to, ["en", *LANGUAGES]))
        instruction = fill(ST.prompts.seen[0], {"language": LANGUAGES[to]})
        return LlmWriter(self, instruction, (), to)

    @many
    def classify(
        self,
        sounds: Iterable[Sound],
        labels: Sequence[str] | None = None,
        *,
        instruction: str | None = None,
        task: str | None = None,
        **decoding: Any,
    ) -> Iterator[dict[str, float]]:
        """How likely each label is for a sound, the likeliest first; they sum to one.

        They are the model's scores as shares, no calibrated probabilities.

        Args:
            sounds: One sound, a list, or an iterator.
            labels: To choose among; a task may have its own.
            instruction: What is asked; by default which label fits.
            task: Instead, the task whose own question is asked, such as "er".
            decoding: Options by name, as for `ask`.

        Raises:
            AudioError: If a sound cannot be read, or is longer than the model hears.
            UserError: If there are no labels, or both an instruction and a task.
        """
        _refuse_skipping(decoding, "shares")
        written, choices = _class_question(labels, instruction, task)
        how = {"choice_mode": "score", **decoding}
        if how["choice_mode"] != "score":
            raise UserError("shares are scores: leave choice_mode out, or ask with `choices`")
        for answer in self._ask_in_batches(sounds, written, choices=choices, **how):
            if answer.choice_scores is None:
                raise UserError(f"the task '{task}' has no labels to choose among")
            ranked = sorted(answer.choice_probs.items(), key=lambda pair: -pair[1])
            yield dict(ranked)

    @many
    def extract(
        self,
        sounds: Iterable[Sound],
        schema: str | Mapping[str, Any],
        instruction: str | None = None,
        **decoding: Any,
    ) -> Iterator[Any]:
        """What a JSON schema asks for, from a sound, as plain values.

        Args:
            sounds: One sound, a list, or an iterator.
            schema: Of the answer, also as text.
            instruction: What is asked; by default for the schema's properties by name.
            decoding: Options by name, as for `ask`.

        Raises:
            AudioError: If a sound cannot be read, or is longer than the model hears.
            UserError: If the schema cannot be followed, or an answer was cut before its end.
        """
        _refuse_skipping(decoding, "values")
        written = instruction or f"Extract from the audio, as JSON: {_names_in(schema)}."
        for answer in self._ask_in_batches(sounds, written, json_schema=schema, **decoding):
            if answer.cut:
                raise UserError(
                    f"the answer ends before its JSON does ('{answer.text}'): allow more"
                    " max_new_tokens, or bound the lengths in the schema (maxLength, maxItems)"
                )
            try:
                yield json.loads(answer.text)
            except ValueError as error:
                raise UserError(f"the answer is no JSON ('{answer.text}'): {error}") from error

    def ask_whole(
        self,
        sound: AudioSource,
        instruction: str,
        choices: Choices = None,
        options: DecodingOptions | None = None,
        *,
        progress: Advance = ignore,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        **decoding: Any,
    ) -> WholeAnswer:
        """Asks one thing about a sound of any length: about each part that the model can hear, and
        the LLM answers for the whole from the answers about the parts.

        Args:
            progress: Is told how many more seconds of the sound were heard.

        The other arguments are those of `ask`; choices, a regex or a schema hold for the parts and
        the whole.

        Raises:
            AudioError: If the sound cannot be read.
            AudioTooLongError: If not even two answers about parts fit into what the LLM reads.
            UserError: As for `ask`.
        """
        constraint, options = self.how_to_answer(choices, regex, json_schema, options, decoding)

        answers = list[Answer]()

        def ask(clips: list[Any]) -> list[Answer]:
            made: list[Answer] = self.ask(
                clips, instruction, choices=constraint, options=options, hints=hints
            )
            answers.extend(made)
            return made

        parts = answer_parts(sound, self.processor.max_audio_seconds, ask, progress)
        if len(parts) == 1:
            return WholeAnswer(answers[0], parts)
        notes = [part.text for part in parts]
        return WholeAnswer(combine(self, instruction, notes, constraint, options), parts)

    def _ask_in_batches(
        self, sounds: Iterable[Sound], instruction: str, **how: Any
    ) -> Iterator[Answer]:
        for some in in_batches(sounds, AT_ONCE):
            yield from self.ask(some, instruction, **how)

    @cached_property
    def _writers(self) -> Writers:
        return Writers(self)


def _check_on_error(on_error: str) -> None:
    if on_error not in get_args(OnError):
        raise UserError(unknown_name("value of on_error", on_error, get_args(OnError)))


def _refuse_skipping(how: Mapping[str, Any], results: str) -> None:
    if how.get("on_error", "raise") != "raise":
        raise UserError(
            f"on_error is for answers and transcripts, which can say what is wrong, and {results}"
            " cannot: use ask(..., on_error='skip')"
        )


def _names_in(schema: str | Mapping[str, Any]) -> str:
    if isinstance(schema, str):
        try:
            schema = json.loads(schema)
        except ValueError:
            schema = {}  # it is told where it is followed
    names = schema.get("properties", ()) if isinstance(schema, Mapping) else ()
    return ", ".join(names) or "what the schema names"


def _class_question(
    labels: Sequence[str] | None, instruction: str | None, task: str | None
) -> tuple[str, Any]:
    if task is not None:
        if instruction is not None:
            raise UserError("a task asks its own question: leave out the instruction or the task")
        question = TaskQuestion.of(task, labels)
        if question.choices is None:
            raise UserError(f"task '{task}' is answered freely; classify(...) wants labels")
        return question.instruction, question.constraint
    if labels is None:
        raise UserError("name the labels to choose among, such as ['yes', 'no'], or a task")
    return instruction or f"Which of these fits the audio best: {', '.join(labels)}?", labels
