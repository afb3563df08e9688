"""Who writes down what is said in a stretch of speech: the encoder's own decoder, or the LLM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np

from speechverse.chat import Loaded
from speechverse.encoders.whisper_text import WhisperRecogniser, load_whisper
from speechverse.errors import CheckpointError, UserError, unknown_name
from speechverse.longform.transcript import WritingTask
from speechverse.protocols import Model
from speechverse.tasks import TaskQuestion
from speechverse.types import Answer, Seconds

Decoder = Literal["own", "llm"]


class Writer(Protocol):
    """Writes down what is said.

    Attributes:
        title: Who writes.
        language: The code it was told; None where it was told none.
        longest: Seconds that it hears at once.
        task: Whether it writes in the language that is spoken, or in another.
    """

    title: str
    language: str | None
    task: WritingTask
    longest: Seconds

    def __call__(self, clips: list[np.ndarray]) -> list[Answer]:
        """Texts of clips, float32 (T,) each at 16 kHz."""


class OwnWriter:
    """The decoder that comes with a Whisper encoder."""

    def __init__(
        self, whisper: WhisperRecogniser, language: str, task: WritingTask = "transcribe"
    ) -> None:
        """Tells it the code of what is spoken; "auto" has it find that out for each stretch. It
        translates into English.
        """
        self._spoken = None if language == "auto" else language
        whisper.check_language(self._spoken)
        self.task, self.language = task, self._spoken if task == "transcribe" else "en"
        self.title = f"the own decoder of {Path(whisper.source).name}"
        self.longest = whisper.max_seconds
        self._whisper = whisper

    def __call__(self, clips: list[np.ndarray]) -> list[Answer]:
        # Others may share it, for another language.
        self._whisper.language, self._whisper.task = self._spoken, self.task
        return self._whisper.answers(clips)


class LlmWriter:
    """The LLM, asked about each stretch of speech."""

    def __init__(
        self, asked: Loaded, instruction: str, hints: Sequence[str], language: str | None = None
    ) -> None:
        """Asks in these words; `language` is the code of what it translates into, where they say
        so.
        """
        self.title, self.language = "the LLM", language
        self.task: WritingTask = "translate" if language else "transcribe"
        self.longest = asked.processor.max_audio_seconds
        self._asked, self._instruction, self._hints = asked, instruction, hints

    def __call__(self, clips: list[np.ndarray]) -> list[Answer]:
        made: list[Answer] = self._asked.ask(clips, self._instruction, hints=self._hints)
        return made


def load_own_decoder(model: Model) -> WhisperRecogniser:
    """The Whisper that a loaded model's encoder is a part of, on its device and in its precision.

    Raises:
        CheckpointError: If the encoder is none, or has no decoder.
    """
    encoder, _ = model.config.part_names
    revision = model.config.encoder_revision
    return load_whisper(encoder, revision=revision, dtype=model.dtype).to(model.device)


class Writers:
    """Finds who writes for a loaded model, and keeps what was loaded for it."""

    def __init__(self, asked: Loaded) -> None:
        self._asked = asked
        self._own: WhisperRecogniser | CheckpointError | None = None

    def find(self, decoder: Decoder | None, language: str | None, hints: Sequence[str]) -> Writer:
        """Who writes, as chosen; by default the encoder's own decoder where it brings one.

        Raises:
            CheckpointError: If the encoder's own is wanted and it brings none.
            UserError: If who writes takes no hints, or does not know the language.
        """
        if decoder not in (None, *get_args(Decoder)):
            raise UserError(unknown_name("decoder", str(decoder), get_args(Decoder)))
        own = None if decoder == "llm" else self._load_own()
        if isinstance(own, CheckpointError) and decoder == "own":
            raise own
        if isinstance(own, WhisperRecogniser):
            if hints:
                raise UserError(
                    "hints are for the LLM, but the encoder's own decoder writes: choose the"
                    " decoder 'llm', or leave them out"
                )
            return OwnWriter(own, language or "en")
        if language:
            raise UserError(
                "a language is told to the encoder's own decoder, but the LLM writes: leave it out"
            )
        return LlmWriter(self._asked, TaskQuestion.of("asr").instruction, hints)

    def into_english(self) -> Writer:
        """The encoder's own decoder, which hears what is spoken and translates it into English.

        Raises:
            UserError: If the encoder brings none, or one that knows English alone.
        """
        own = self._load_own()
        if isinstance(own, CheckpointError) or not own.is_multilingual:
            raise UserError(
                "into English only a Whisper of several languages translates, by its own decoder,"
                " and this model's encoder is none"
            )
        return OwnWriter(own, "auto", "translate")

    def _load_own(self) -> WhisperRecogniser | CheckpointError:
        if self._own is None:
            try:
                self._own = load_own_decoder(self._asked.model)
            except CheckpointError as error:
                self._own = error
        return self._own
