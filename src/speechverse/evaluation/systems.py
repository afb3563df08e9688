"""Systems: the model and what it is measured against, all under the same tasks, instructions, parser and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from speechverse import audio
from speechverse.decoding import DecodingOptions, answer
from speechverse.errors import UserError, unknown_name
from speechverse.tasks import OneOf, get_task
from speechverse.types import Answer, Example, Utterance

Progress = Callable[[int], None]


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


@dataclass
class Parts:
    """What systems are built from; transcripts are made once and shared by all tasks.

    Attributes:
        model: The SpeechVerse model.
        processor: Its processor.
        options: How all systems decode.
        cache: Encoder outputs by utterance, if there are any.
        training_answers: Name of a task to the right answers of its training examples.
        recogniser: Makes the encoder's own CTC recogniser; raises a CheckpointError where the encoder has none.
    """

    model: Any
    processor: Any
    options: DecodingOptions
    cache: Any = None
    training_answers: Callable[[str], Sequence[str]] = lambda task: ()
    recogniser: Callable[[], Any] | None = None
    transcripts: dict[str, dict[str, str]] = field(default_factory=dict)

    def transcribed(
        self, kind: str, utterances: Sequence[Utterance], make: Callable[[Sequence[Utterance]], Sequence[str]]
    ) -> Mapping[str, str]:
        """Transcripts of one kind by utterance id; only utterances not seen before are transcribed."""
        known = self.transcripts.setdefault(kind, {})
        new = list({utterance.id: utterance for utterance in utterances if utterance.id not in known}.values())
        if new:
            known.update(zip((utterance.id for utterance in new), make(new), strict=True))
        return known


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

    def missing(self, examples: Sequence[Example]) -> str | None:
        merged = self.parts.model.config.merged
        return "LoRA is merged into this export's LLM and cannot be left out" if merged else self.lacking(examples)

    def lacking(self, examples: Sequence[Example]) -> str | None:
        """What this cascade needs besides, in words; None if it has it."""
        return None

    def transcribe(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        """What was said, one text for each utterance."""
        instruction = get_task("asr").prompts.seen[0]
        examples = [Example(f"{u.id}/transcript", u, "asr", instruction, "", "") for u in utterances]
        return [made.text for made in SpeechVerseSystem(self.parts).answer(examples)]

    def answer(self, examples: Sequence[Example], progress: Progress | None = None) -> list[Answer]:
        parts = self.parts
        transcripts = parts.transcribed(self.name, [example.utterance for example in examples], self.transcribe)
        heard = [transcripts[example.utterance.id] for example in examples]
        if examples and examples[0].task == "asr" and self.answers_with_transcript:
            if progress:
                progress(len(examples))
            return [Answer(text=text, transcript=text) for text in heard]
        with parts.model.without_lora():
            answers = answer(
                parts.model, parts.processor, examples, parts.options, transcripts=transcripts, progress=progress
            )
        return [replace(made, transcript=text) for made, text in zip(answers, heard, strict=True)]


class CtcCascade(Cascade):
    """The encoder's CTC head transcribes: the fairest cascade offline, as it hears with the same encoder."""

    name: ClassVar[str] = "cascade-ctc"
    title: ClassVar[str] = "the frozen encoder's CTC transcript, read by the same frozen LLM without LoRA"

    def lacking(self, examples: Sequence[Example]) -> str | None:
        return None if self.parts.recogniser else "the encoder has no CTC head"

    def transcribe(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        assert self.parts.recogniser is not None
        recogniser, cache, texts = self.parts.recogniser(), self.parts.cache, list[str]()
        for start in range(0, len(utterances), 64):  # what a few batches need in memory, never a whole split
            some = utterances[start : start + 64]
            if cache is not None and self._reads_what_the_model_hears():
                texts += recogniser.transcribe_features([cache[utterance] for utterance in some])
            else:
                texts += recogniser.transcribe([audio.load(utterance.audio).samples for utterance in some])
        return texts

    def _reads_what_the_model_hears(self) -> bool:
        """The head stands on the whole encoder as it was found, not on one cut short or trained on."""
        config = self.parts.model.config
        return config.encoder_layers is None and not config.encoder_trained


class Oracle(Cascade):
    """The true transcript: how far reading alone gets."""

    name: ClassVar[str] = "oracle"
    title: ClassVar[str] = "the true transcript, read by the same frozen LLM without LoRA"
    hears: ClassVar[bool] = False
    answers_with_transcript: ClassVar[bool] = False

    def lacking(self, examples: Sequence[Example]) -> str | None:
        lacking = sum(example.utterance.text is None for example in examples)
        return f"{lacking} of {len(examples)} clips have no true transcript" if lacking else None

    def transcribe(self, utterances: Sequence[Utterance]) -> Sequence[str]:
        return [utterance.text or "" for utterance in utterances]


@dataclass
class Majority:
    """The commonest right answer (of the training split where there is one), unheard; for closed sets."""

    parts: Parts
    name: ClassVar[str] = "majority"
    title: ClassVar[str] = (
        "always the commonest right answer (of the training split where there is one), without listening"
    )
    hears: ClassVar[bool] = False

    def missing(self, examples: Sequence[Example]) -> str | None:
        task = get_task(examples[0].task)
        closed = isinstance(task.constraint_for(examples[0].choices), OneOf)
        return None if closed else "its answers are no closed set"

    def answer(self, examples: Sequence[Example], progress: Progress | None = None) -> list[Answer]:
        targets = self.parts.training_answers(examples[0].task) or [example.target for example in examples]
        counts = Counter(targets)
        commonest = min(counts, key=lambda target: (-counts[target], target))
        if progress:
            progress(len(examples))
        return [Answer(text=commonest) for _ in examples]


SYSTEMS: dict[str, Callable[[Parts], System]] = {
    kind.name: kind for kind in (SpeechVerseSystem, CtcCascade, Cascade, Oracle, Majority)
}


def make_systems(names: Sequence[str], parts: Parts) -> list[System]:
    """Systems by name, in the order asked for."""
    check_systems(names)
    return [SYSTEMS[name](parts) for name in dict.fromkeys(names)]


def check_systems(names: Sequence[str]) -> None:
    """Refuses names that are none of `SYSTEMS`.

    Raises:
        UserError: For an unknown name, or none at all.
    """
    if not names:
        raise UserError(f"no system to evaluate; name some of: {', '.join(SYSTEMS)}")
    for name in names:
        if name not in SYSTEMS:
            raise UserError(unknown_name("system", name, SYSTEMS))
