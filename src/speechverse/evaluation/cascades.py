"""The model itself, and cascades: a transcript of some kind, read by the same LLM."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from speechverse import audio
from speechverse.decoding import answer
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.encoders.whisper_text import WhisperRecogniser
from speechverse.evaluation.parts import Parts, Progress, Recogniser
from speechverse.models import lora
from speechverse.tasks import get_task
from speechverse.types import Answer, Example, Utterance


@dataclass
class SpeechVerseSystem:
    """The model itself."""

    parts: Parts
    name: ClassVar[str] = "speechverse"
    title: ClassVar[str] = "the model: it hears the audio and answers at once"
    hears: ClassVar[bool] = True

    def missing(self, examples: Sequence[Example]) -> str | None:
        return None

    def answer(self, examples: Sequence[Example], progress: Progress | None = None) -> list[Answer]:
        parts = self.parts
        return answer(parts.model, parts.processor, examples, parts.options, cache=parts.cache, progress=progress)


@dataclass
class Cascade:
    """A transcript read by the same frozen LLM, without LoRA; `cascade` stands on the model's own transcript."""

    parts: Parts
    name: ClassVar[str] = "cascade"
    title: ClassVar[str] = "the model's own transcript, read by the same frozen LLM without LoRA"
    hears: ClassVar[bool] = True
    answers_with_transcript: ClassVar[bool] = True
    kind: ClassVar[str] = "cascade"  # of its transcripts: cascades of one kind share them

    @property
    def stands_on(self) -> str:
        """What its answers depend on besides the model."""
        return ""

    def missing(self, examples: Sequence[Example]) -> str | None:
        if self.parts.model.config.merged and not self._is_transcript(examples):
            return "LoRA is merged into this export's LLM and cannot be left out"
        return self.lacking(examples)

    def lacking(self, examples: Sequence[Example]) -> str | None:
        """What this cascade needs besides, in words; None if it has it."""
        return None

    def transcribe(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        """What was said, one text for each utterance."""
        instruction = get_task("asr").prompts.seen[0]
        examples = [Example(f"{u.id}/transcript", u, "asr", instruction, "", "") for u in utterances]
        return [made.text for made in SpeechVerseSystem(self.parts).answer(examples)]

    def reading(self) -> AbstractContextManager[None]:
        """The LLM as it reads transcripts, within the block."""
        return self.parts.model.without_lora()

    def _is_transcript(self, examples: Sequence[Example]) -> bool:
        return bool(examples) and examples[0].task == "asr" and self.answers_with_transcript

    def answer(self, examples: Sequence[Example], progress: Progress | None = None) -> list[Answer]:
        parts = self.parts
        transcripts = parts.transcribed(self.kind, [example.utterance for example in examples], self.transcribe)
        heard = [transcripts[example.utterance.id] for example in examples]
        if self._is_transcript(examples):
            if progress:
                progress(len(examples))
            return [Answer(text=text, transcript=text) for text in heard]
        with self.reading():
            answers = answer(
                parts.model, parts.processor, examples, parts.options, transcripts=transcripts, progress=progress
            )
        return [replace(made, transcript=text) for made, text in zip(answers, heard, strict=True)]


class RecognisedCascade(Cascade):
    """A cascade on what a recogniser writes down, from the encoder outputs that are kept where it can read them."""

    @property
    def recogniser(self) -> Recogniser | None:
        """Who writes; None where there is nobody."""
        raise NotImplementedError

    def transcribe(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        recogniser, cache, texts = self.recogniser, self.parts.cache, list[str]()
        assert recogniser is not None  # else `lacking` tells
        for start in range(0, len(utterances), 64):  # what a few batches need in memory, never a whole split
            some = utterances[start : start + 64]
            if cache is not None and self._reads_what_the_model_hears():
                texts += recogniser.transcribe_features([cache[utterance] for utterance in some])
            else:
                texts += recogniser.transcribe([audio.load(utterance.audio).samples for utterance in some])
        return texts

    def _reads_what_the_model_hears(self) -> bool:
        """It stands on the whole encoder as it was found, not on one cut short or trained on."""
        config = self.parts.model.config
        return config.encoder_layers is None and not config.encoder_trained


class CtcCascade(RecognisedCascade):
    """The encoder's CTC head transcribes: it hears with the same encoder."""

    name: ClassVar[str] = "cascade-ctc"
    title: ClassVar[str] = "the frozen encoder's CTC transcript, read by the same frozen LLM without LoRA"
    kind: ClassVar[str] = "cascade-ctc"

    @property
    def recogniser(self) -> CtcRecogniser | None:
        return self.parts.recogniser

    def lacking(self, examples: Sequence[Example]) -> str | None:
        return None if self.recogniser else "the encoder has no CTC head"


class WhisperCascade(RecognisedCascade):
    """Whisper's own decoder transcribes, the paper's kind of baseline; `asr` is answered with Whisper's own text."""

    name: ClassVar[str] = "cascade-whisper"
    title: ClassVar[str] = "Whisper's own transcript, read by the same frozen LLM without LoRA"
    kind: ClassVar[str] = "cascade-whisper"

    @property
    def recogniser(self) -> WhisperRecogniser | None:
        return self.parts.whisper

    @property
    def stands_on(self) -> str:
        return self.recogniser.source if self.recogniser else ""

    def lacking(self, examples: Sequence[Example]) -> str | None:
        if self.recogniser is None:
            return "there is no Whisper with a decoder"
        limit = self.recogniser.max_seconds
        too_long = sum(example.utterance.duration > limit for example in examples)
        return f"{too_long} of {len(examples)} clips are longer than Whisper's {limit:g} s" if too_long else None

    def _reads_what_the_model_hears(self) -> bool:
        own = self.recogniser is not None and self.recogniser.source == str(self.parts.model.config.encoder)
        return own and super()._reads_what_the_model_hears()


class Oracle(Cascade):
    """The true transcript: how far reading alone gets."""

    name: ClassVar[str] = "oracle"
    title: ClassVar[str] = "the true transcript, read by the same frozen LLM without LoRA"
    kind: ClassVar[str] = "oracle"
    hears: ClassVar[bool] = False
    answers_with_transcript: ClassVar[bool] = False

    def lacking(self, examples: Sequence[Example]) -> str | None:
        lacking = sum(example.utterance.text is None for example in examples)
        return f"{lacking} of {len(examples)} clips have no true transcript" if lacking else None

    def transcribe(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        return [utterance.text or "" for utterance in utterances]


class Tuned(Cascade):
    """Mixed into a cascade: its LLM was LoRA-tuned to read transcripts (a stage with `reads: transcript`)."""

    @property
    def stands_on(self) -> str:
        return f"{super().stands_on} {self._fingerprint}"

    @cached_property
    def _fingerprint(self) -> str | None:
        folder = self.parts.reader_lora
        return lora.fingerprint(folder) if folder else None

    def lacking(self, examples: Sequence[Example]) -> str | None:
        if self.parts.reader_lora is None:
            return "no LoRA for reading is named (--cascade-lora FOLDER); train one in a stage with `reads: transcript`"
        return super().lacking(examples)

    def reading(self) -> AbstractContextManager[None]:
        assert self.parts.reader_lora is not None  # else `lacking` tells
        return lora.replaced(self.parts.model.llm, self.parts.reader_lora)


class TunedWhisperCascade(Tuned, WhisperCascade):
    """As `cascade-whisper`, the LLM taught on the same examples as text."""

    name: ClassVar[str] = "cascade-whisper-tuned"
    title: ClassVar[str] = "Whisper's own transcript, read by the same LLM with LoRA tuned on text"


class TunedOracle(Tuned, Oracle):
    """As `oracle`, the LLM taught on the same examples as text."""

    name: ClassVar[str] = "oracle-tuned"
    title: ClassVar[str] = "the true transcript, read by the same LLM with LoRA tuned on text"
