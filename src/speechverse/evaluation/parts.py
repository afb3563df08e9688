"""What a system is, and what systems are built from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from torch import Tensor

from speechverse.decoding import DecodingOptions
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.encoders.whisper_text import WhisperRecogniser
from speechverse.protocols import Model, Processor
from speechverse.types import Answer, AudioRef, Ended, Example, Utterance

Progress = Callable[[int], None]

OPEN_SET = "its answers are no closed set"
"""Why a system that knows no words cannot answer a task: nothing worth a note."""


class System(Protocol):
    """Anything that answers examples.

    Attributes:
        name: The name in tables and on the command line.
        title: What it is, in one line of the report.
        hears: Whether it needs the clips' sound.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    hears: ClassVar[bool]

    def missing(self, examples: Sequence[Example]) -> str | None:
        """Why it cannot answer these examples of one task, in words; None if it can."""

    def answer(self, examples: Sequence[Example], progress: Progress | None = None) -> list[Answer]:
        """One answer for each example, in order."""


class Recogniser(Protocol):
    """Writes down what is said."""

    def transcribe(self, waveforms: Sequence[np.ndarray]) -> list[str]:
        """Texts of mono 16 kHz samples."""

    def transcribe_features(self, features: Sequence[Tensor]) -> list[str]:
        """Texts of its encoder's outputs, (L, T, D) each."""


@dataclass
class Parts:
    """What systems are built from; transcripts are made once and shared by all tasks.

    Attributes:
        model: The SpeechVerse model.
        processor: Its processor.
        options: How all systems decode.
        cache: Encoder outputs by utterance, if there are any.
        training_examples: Name of a task to examples of the training split; none where there is no
            such split.
        recogniser: The encoder's own CTC recogniser; None where it has none.
        whisper: Whisper with its decoder: the encoder's own, or a known part; None where there is
            none.
        reader_lora: Folder of the LoRA that was trained to read transcripts, for the tuned
            cascades.
        hear: Puts the clips of more examples into the cache, and gives it; None where nothing is
            kept.
        notes: What a system has to say for itself in the results.
        endings: Why each of the model's own transcripts ended, by utterance.
    """

    model: Model
    processor: Processor
    options: DecodingOptions
    cache: Any = None
    training_examples: Callable[[str], Sequence[Example]] = lambda task: ()
    recogniser: CtcRecogniser | None = None
    whisper: WhisperRecogniser | None = None
    reader_lora: Path | None = None
    hear: Callable[[Sequence[Example]], Any] | None = None
    notes: list[str] = field(default_factory=list)
    transcripts: dict[str, dict[str, str]] = field(default_factory=dict)
    endings: dict[str, Ended] = field(default_factory=dict)
    mean_log_mels: dict[AudioRef, np.ndarray] = field(default_factory=dict)

    def transcribed(
        self,
        kind: str,
        utterances: Sequence[Utterance],
        make: Callable[[Sequence[Utterance]], Sequence[str]],
    ) -> Mapping[str, str]:
        """Transcripts of one kind by utterance id; only utterances not seen before
        are transcribed.
        """
        known = self.transcripts.setdefault(kind, {})
        new = list(
            {
                utterance.id: utterance for utterance in utterances if utterance.id not in known
            }.values()
        )
        if new:
            known.update(zip((utterance.id for utterance in new), make(new), strict=True))
        return known
