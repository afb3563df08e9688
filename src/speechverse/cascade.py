"""Answers by way of words: Whisper writes down what is said, and the model's own LLM, without LoRA, reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from speechverse.audio import AudioSource, load
from speechverse.decoding import DecodingOptions, Question, answer_questions
from speechverse.errors import UserError
from speechverse.pipeline import constraint_of
from speechverse.protocols import Model, Processor
from speechverse.tasks.hints import with_hints
from speechverse.types import Answer

if TYPE_CHECKING:
    import numpy as np

    from speechverse.encoders.whisper_text import WhisperRecogniser
    from speechverse.pipeline import SpeechVerse


class WhisperReader:
    """A cascade to ask like a model: what no transcript tells, it cannot know.

    Attributes:
        model: The model whose LLM reads; its adapters are left out.
        processor: Its processor.
        whisper: Who writes.
    """

    def __init__(self, loaded: SpeechVerse, whisper: WhisperRecogniser) -> None:
        self.model: Model = loaded.model
        self.processor: Processor = loaded.processor
        self.whisper = whisper
        self._last: tuple[bytes, str] | None = None

    def ask(
        self,
        audio: AudioSource,
        instruction: str,
        choices: Sequence[str] | None = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
    ) -> Answer:
        """Asks one thing about one sound; the answer holds the transcript it stands on.

        Args:
            audio: A path, the bytes of a file, samples at 16 kHz (T,), or (samples, sampling_rate).
            instruction: What to do with it, in words.
            choices: The answers allowed; None leaves the answer free.
            options: How the answer is made.
            regex: Instead of choices, what the whole answer matches.
            json_schema: Instead of choices, a schema that the answer is JSON of.
            hints: Words that may be heard, such as names.

        Raises:
            AudioError: If the sound cannot be read.
            AudioTooLongError: If it is longer than Whisper hears.
            UserError: If the instruction or the choices are empty.
            CheckpointError: If LoRA is merged into the model's LLM.
        """
        if not instruction.strip():
            raise UserError("the instruction is empty; say in words what to do with the audio")
        instruction, sound = with_hints(instruction, hints), load(audio)
        transcript = self._transcript(sound.samples)
        question = Question(
            instruction,
            self.processor.num_positions(instruction, transcript=transcript),
            transcript=transcript,
            constraint=constraint_of(choices, regex, json_schema),
            seconds=sound.duration,
        )
        with self.model.without_lora():
            [made] = answer_questions(self.model, self.processor, [question], options or DecodingOptions())
        return replace(made, transcript=transcript)

    def _transcript(self, samples: np.ndarray) -> str:
        """What is said, written once for all that is asked of a sound in a row."""
        key = hashlib.sha256(samples.tobytes()).digest()
        if self._last is None or self._last[0] != key:
            [text] = self.whisper.transcribe([samples])
            self._last = key, text
        return self._last[1]
