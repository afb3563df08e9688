"""The model itself, and cascades: a transcript of some kind, read by the same LLM."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from torch import Tensor

from speechverse import audio
from speechverse.audio import AudioSource
from speechverse.batching import in_batches
from speechverse.chat import Choices
from speechverse.decoding import DecodingOptions, Question, answer, answer_questions
from speechverse.decoding.options import NO_MATTER
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.encoders.recogniser import Recogniser
from speechverse.encoders.whisper_text import WhisperRecogniser
from speechverse.errors import UserError
from speechverse.evaluation.parts import Parts
from speechverse.evaluation.provenance import find_whisper
from speechverse.models import lora
from speechverse.progress import Advance, ignore
from speechverse.protocols import Model, Processor
from speechverse.seeding import fingerprint
from speechverse.tasks import get_task
from speechverse.tasks.hints import with_hints
from speechverse.types import Answer, Example, Utterance

if TYPE_CHECKING:
    from speechverse.pipeline import SpeechVerse


Made = TypeVar("Made")


def spoken_language(clip: Utterance) -> str:
    """What a recogniser is told of a clip: its line's language, without the region, or English."""
    return re.split("[-_]", clip.language or "en")[0].lower()


@dataclass
class SpeechVerseSystem:
    """The model itself."""

    parts: Parts
    name: ClassVar[str] = "speechverse"
    title: ClassVar[str] = "the model: it hears the audio and answers at once"
    hears: ClassVar[bool] = True

    def missing(self, examples: Sequence[Example]) -> str | None:
        return None

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        parts = self.parts
        asked = parts.model, parts.processor, examples, parts.options
        return answer(*asked, cache=parts.cache, progress=progress)


@dataclass
class Cascade:
    """A transcript read by the same frozen LLM, without LoRA; `cascade` stands on the model's own
    transcript.
    """

    parts: Parts
    name: ClassVar[str] = "cascade"
    title: ClassVar[str] = "the model's own transcript, read by the same frozen LLM without LoRA"
    hears: ClassVar[bool] = True
    answers_with_transcript: ClassVar[bool] = True
    kind: ClassVar[str] = "cascade"  # of its transcripts: cascades of one kind share them
    knows_endings: ClassVar[bool] = True  # why each transcript ended

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
        examples = [
            Example(f"{u.id}/transcript", u, "asr", instruction, "", "") for u in utterances
        ]
        parts, given = self.parts, self.parts.options
        # What is said of answers to a task (a limit, stop strings, draws) is not meant for what
        # they stand on.
        options = DecodingOptions(**given.model_dump(include={*NO_MATTER, "num_beams"}))
        made = answer(parts.model, parts.processor, examples, options, cache=parts.cache)
        return self._keep(utterances, made)

    def _keep(self, utterances: Sequence[Utterance], made: Sequence[Answer]) -> list[str]:
        """The texts; why they ended is remembered."""
        endings = self.parts.endings.setdefault(self.kind, {})
        endings |= {u.id: a.ended for u, a in zip(utterances, made, strict=True)}
        return [answered.text for answered in made]

    def reading(self) -> AbstractContextManager[None]:
        """The LLM as it reads transcripts, within the block."""
        return self.parts.model.without_lora()

    def _forget_unended(self, examples: Sequence[Example]) -> None:
        """Transcripts recalled from another task's answers do not say why they ended: they are made
        anew.
        """
        ended = self.parts.endings.get(self.kind, {})
        for name in {example.utterance.id for example in examples} - ended.keys():
            self.parts.transcripts.get(self.kind, {}).pop(name, None)

    def _is_transcript(self, examples: Sequence[Example]) -> bool:
        """Whether what is asked for is the transcript itself, or that there is none."""
        asked = bool(examples) and examples[0].task in ("asr", "silence")
        return asked and self.answers_with_transcript

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        parts = self.parts
        if self._is_transcript(examples) and self.knows_endings:
            self._forget_unended(examples)
        clips = [example.utterance for example in examples]
        transcripts = parts.transcribe(self.kind, clips, self.transcribe)
        texts = ["\n".join(transcripts[one.id] for one in clip.clips) for clip in clips]
        if self._is_transcript(examples):
            progress(len(examples))
            ended = parts.endings.get(self.kind, {})
            return [
                Answer(text=text, transcript=text, ended=ended.get(clip.id, "end"))
                for clip, text in zip(clips, texts, strict=True)
            ]
        asked = parts.model, parts.processor, examples, parts.options
        with self.reading():
            answers = answer(
                *asked, transcript_of=lambda clip: transcripts[clip.id], progress=progress
            )
        return [replace(made, transcript=text) for made, text in zip(answers, texts, strict=True)]


class RecognisedCascade(Cascade):
    """A cascade on what a recogniser writes down, from the encoder outputs that are kept where it
    can read them.
    """

    knows_endings: ClassVar[bool] = False

    @property
    def recogniser(self) -> Recogniser | None:
        """Who writes; None where there is nobody."""
        return None

    def transcribe(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        # What a few batches need in memory, never a whole split.
        made = [answer for some in in_batches(utterances, 64) for answer in self._write(some)]
        return self._keep(utterances, made)

    def _write(self, some: Sequence[Utterance]) -> list[Answer]:
        recogniser = self.recogniser
        assert recogniser is not None  # else `lacking` tells
        texts = self._make(some, recogniser.transcribe_features, recogniser.transcribe)
        return [Answer(text) for text in texts]

    def _make(
        self,
        some: Sequence[Utterance],
        read: Callable[[list[Tensor]], list[Made]],
        hear: Callable[[list[np.ndarray]], list[Made]],
    ) -> list[Made]:
        """What is made of clips: of their kept encoder outputs, or else of the sounds."""
        cache = self.parts.cache
        if cache is not None and self._reads_what_the_model_hears():
            return read([cache[clip] for clip in some])
        return hear([audio.load(clip.audio).samples for clip in some])

    def _reads_what_the_model_hears(self) -> bool:
        """It stands on the whole encoder as it was found, not on one cut short or trained on."""
        config = self.parts.model.config
        return config.encoder_layers is None and not config.encoder_trained


class CtcCascade(RecognisedCascade):
    """The encoder's CTC head transcribes: it hears with the same encoder."""

    name: ClassVar[str] = "cascade-ctc"
    title: ClassVar[str] = (
        "the frozen encoder's CTC transcript, read by the same frozen LLM without LoRA"
    )
    kind: ClassVar[str] = "cascade-ctc"

    @property
    def recogniser(self) -> CtcRecogniser | None:
        return self.parts.find_recogniser()

    def lacking(self, examples: Sequence[Example]) -> str | None:
        return None if self.recogniser else "the encoder has no CTC head"


class WhisperCascade(RecognisedCascade):
    """Whisper's own decoder transcribes, the paper's kind of baseline; `asr` is answered with
    Whisper's own text.
    """

    name: ClassVar[str] = "cascade-whisper"
    title: ClassVar[str] = "Whisper's own transcript, read by the same frozen LLM without LoRA"
    kind: ClassVar[str] = "cascade-whisper"
    knows_endings: ClassVar[bool] = True

    @property
    def recogniser(self) -> WhisperRecogniser | None:
        return self.parts.find_whisper()

    def _write(self, some: Sequence[Utterance]) -> list[Answer]:
        """Each clip in the language that its line names, or else in English; a language that
        Whisper does not know by its code it is to find out.
        """
        whisper, made = self.recogniser, dict[str, Answer]()
        assert whisper is not None  # else `lacking` tells
        for language in dict.fromkeys(map(spoken_language, some)):
            clips = [clip for clip in some if spoken_language(clip) == language]
            whisper.language = language if language in whisper.languages else None
            answers = self._make(clips, whisper.answers_of_features, whisper.answers)
            made |= zip([clip.id for clip in clips], answers, strict=True)
        return [made[clip.id] for clip in some]

    @property
    def stands_on(self) -> str:
        return self.recogniser.source if self.recogniser else ""

    def lacking(self, examples: Sequence[Example]) -> str | None:
        if self.recogniser is None:
            return "there is no Whisper with a decoder"
        limit = self.recogniser.max_seconds
        too_long = sum(
            any(clip.duration > limit for clip in example.utterance.clips) for example in examples
        )
        told = f"{too_long} of {len(examples)} clips are longer than Whisper's {limit:g} s"
        return told if too_long else None

    def _reads_what_the_model_hears(self) -> bool:
        own = self.recogniser is not None and self.recogniser.source == str(
            self.parts.model.config.encoder
        )
        return own and super()._reads_what_the_model_hears()


class Oracle(Cascade):
    """The true transcript: how far reading alone gets."""

    name: ClassVar[str] = "oracle"
    title: ClassVar[str] = "the true transcript, read by the same frozen LLM without LoRA"
    kind: ClassVar[str] = "oracle"
    hears: ClassVar[bool] = False
    answers_with_transcript: ClassVar[bool] = False

    def lacking(self, examples: Sequence[Example]) -> str | None:
        lacking = sum(
            any(clip.text is None for clip in example.utterance.clips) for example in examples
        )
        return f"{lacking} of {len(examples)} clips have no true transcript" if lacking else None

    def transcribe(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        return [utterance.text or "" for utterance in utterances]


class Tuned(Cascade):
    """Mixed into a cascade: its LLM was LoRA-tuned to read transcripts (a stage with `reads:
    transcript`).
    """

    @property
    def stands_on(self) -> str:
        return f"{super().stands_on} {self._fingerprint}"

    @cached_property
    def _fingerprint(self) -> str | None:
        folder = self.parts.reader_lora
        return lora.lora_fingerprint(folder) if folder else None

    def lacking(self, examples: Sequence[Example]) -> str | None:
        if self.parts.reader_lora is None:
            return (
                "no LoRA for reading is named (--cascade-lora FOLDER); train one in a stage with"
                " `reads: transcript`"
            )
        return super().lacking(examples)

    def reading(self) -> AbstractContextManager[None]:
        assert self.parts.reader_lora is not None  # else `lacking` tells
        return lora.replaced(self.parts.model.llm, self.parts.reader_lora)


class TunedWhisperCascade(Tuned, WhisperCascade):
    """As `cascade-whisper`, the LLM taught on the same examples as text."""

    name: ClassVar[str] = "cascade-whisper-tuned"
    title: ClassVar[str] = "Whisper's own transcript, read by the same LLM with LoRA tuned on text"


class TunedCascade(Tuned, Cascade):
    """As `cascade`, the LLM taught on the same examples as text: the paper's stronger one."""

    name: ClassVar[str] = "cascade-tuned"
    title: ClassVar[str] = "its own transcript, read by the same LLM with LoRA tuned on text"


class TunedOracle(Tuned, Oracle):
    """As `oracle`, the LLM taught on the same examples as text."""

    name: ClassVar[str] = "oracle-tuned"
    title: ClassVar[str] = "the true transcript, read by the same LLM with LoRA tuned on text"


class WhisperReader:
    """A cascade to ask like a model: what no transcript tells, it cannot know.

    Whisper writes, and the model's LLM reads, its adapters left out.
    """

    def __init__(self, loaded: SpeechVerse, whisper: WhisperRecogniser) -> None:
        self._loaded = loaded
        self.model: Model = loaded.model
        self.processor: Processor = loaded.processor
        self.whisper = whisper
        self._last: tuple[str, str] | None = None

    @classmethod
    def of(cls, loaded: SpeechVerse, language: str = "en") -> WhisperReader:
        """Loads the Whisper that a model's encoder is a part of, or else the known one.

        Args:
            language: Code of what is spoken; "auto" has it find that out.

        Raises:
            UserError: If there is none, or it does not know the language.
        """
        whisper, why_none = find_whisper(loaded.model)
        if whisper is None:
            raise UserError(f"cascade-whisper needs a Whisper with a decoder: {why_none}")
        whisper.language = None if language == "auto" else language
        whisper.check_language(whisper.language)
        return cls(loaded, whisper)

    def ask(
        self,
        sound: AudioSource,
        instruction: str,
        choices: Choices = None,
        options: DecodingOptions | None = None,
        *,
        regex: str | None = None,
        json_schema: str | Mapping[str, Any] | None = None,
        hints: Sequence[str] = (),
        logprobs: bool = False,
    ) -> Answer:
        """Asks one thing about one sound; the answer holds the transcript it stands on.

        Takes what `SpeechVerse.ask` takes.

        Raises:
            AudioError: If the sound cannot be read.
            AudioTooLongError: If it is longer than Whisper hears.
            UserError: If the instruction or the choices are empty, or options exclude each other.
            CheckpointError: If LoRA is merged into the model's LLM.
        """
        if not instruction.strip():
            raise UserError("the instruction is empty; say in words what to do with the audio")
        constraint, options = self._loaded.how_to_answer(choices, regex, json_schema, options, {})
        instruction, waveform = with_hints(instruction, hints), audio.load(sound)
        waveform = waveform._replace(samples=self.processor.heard_of(waveform.samples))
        transcript = self._transcript(waveform.samples)
        question = Question(
            instruction,
            self.processor.num_positions(instruction, transcript=transcript),
            transcript=transcript,
            constraint=constraint,
            seconds=waveform.duration,
        )
        with self.model.without_lora():
            [made] = answer_questions(
                self.model,
                self.processor,
                [question],
                options,
                logprobs=logprobs,
            )
        return replace(made, transcript=transcript)

    def _transcript(self, samples: np.ndarray) -> str:
        """What is said, written once for all that is asked of a sound in a row."""
        key = fingerprint(samples.tobytes())
        if self._last is None or self._last[0] != key:
            [text] = self.whisper.transcribe([samples])
            self._last = key, text
        return self._last[1]
