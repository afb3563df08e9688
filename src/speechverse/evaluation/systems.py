"""Systems: the model and what it is measured against, all under the same tasks, instructions, parser and metrics."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from speechverse import audio
from speechverse.decoding import DecodingOptions, answer
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.errors import AudioError, UserError, unknown_name
from speechverse.evaluation.folds import speaker_folds
from speechverse.evaluation.log_mels import mean_log_mels
from speechverse.evaluation.probes.linear import Outputs, fit_probe
from speechverse.seeding import hash_seed
from speechverse.tasks import OneOf, get_task
from speechverse.types import Answer, AudioRef, Ended, Example, Utterance

logger = logging.getLogger(__name__)

Progress = Callable[[int], None]

OPEN_SET = "its answers are no closed set"
"""Why a system that knows no words cannot answer a task: nothing worth a note."""

_FITTED_ON = 500  # training examples a task
_PENALTY = 1e-2


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
        training_examples: Name of a task to examples of the training split; none where there is no such split.
        recogniser: The encoder's own CTC recogniser; None where it has none.
        endings: Why each of the model's own transcripts ended, by utterance.
    """

    model: Any
    processor: Any
    options: DecodingOptions
    cache: Any = None
    training_examples: Callable[[str], Sequence[Example]] = lambda task: ()
    recogniser: CtcRecogniser | None = None
    transcripts: dict[str, dict[str, str]] = field(default_factory=dict)
    endings: dict[str, Ended] = field(default_factory=dict)
    mean_log_mels: dict[AudioRef, np.ndarray] = field(default_factory=dict)

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
        made = SpeechVerseSystem(self.parts).answer(examples)
        self.parts.endings |= {u.id: answered.ended for u, answered in zip(utterances, made, strict=True)}
        return [answered.text for answered in made]

    def answer(self, examples: Sequence[Example], progress: Progress | None = None) -> list[Answer]:
        parts = self.parts
        transcripts = parts.transcribed(self.name, [example.utterance for example in examples], self.transcribe)
        heard = [transcripts[example.utterance.id] for example in examples]
        if examples and examples[0].task == "asr" and self.answers_with_transcript:
            if progress:
                progress(len(examples))
            ended = self.parts.endings if self.name == Cascade.name else {}  # only this one's is generated
            return [
                Answer(text=text, transcript=text, ended=ended.get(example.utterance.id, "end"))
                for example, text in zip(examples, heard, strict=True)
            ]
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
        recogniser, cache, texts = self.parts.recogniser, self.parts.cache, list[str]()
        assert recogniser is not None  # else `lacking` tells
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


class WithoutWords:
    """A system that knows no words, for closed sets only.

    Attributes:
        name: See `System`.
        without_training: What it does where the corpus has no training split.
    """

    name: ClassVar[str]
    without_training: ClassVar[str]

    def missing(self, examples: Sequence[Example]) -> str | None:
        task = get_task(examples[0].task)
        closed = isinstance(task.constraint_for(examples[0].choices), OneOf)
        return None if closed else OPEN_SET


@dataclass
class Majority(WithoutWords):
    """The commonest right answer (of the training split where there is one), unheard."""

    parts: Parts
    name: ClassVar[str] = "majority"
    title: ClassVar[str] = (
        "always the commonest right answer (of the training split where there is one), without listening"
    )
    hears: ClassVar[bool] = False
    without_training: ClassVar[str] = "its answer is taken from the test split itself"

    def answer(self, examples: Sequence[Example], progress: Progress | None = None) -> list[Answer]:
        commonest = _commonest(self.parts.training_examples(examples[0].task) or examples)
        if progress:
            progress(len(examples))
        return [Answer(text=commonest) for _ in examples]


@dataclass
class LogMel(WithoutWords):
    """What a linear classifier tells from each clip's mean log-mels: no encoder, no words, no order."""

    parts: Parts
    name: ClassVar[str] = "log-mel"
    title: ClassVar[str] = (
        "a linear classifier on each clip's mean log-mels (fitted on the training split where there is one)"
    )
    hears: ClassVar[bool] = False  # it needs nothing of the encoder's
    without_training: ClassVar[str] = (
        "it is fitted on some of the test split's speakers and tested on the others, until all are tested"
    )

    def answer(self, examples: Sequence[Example], progress: Progress | None = None) -> list[Answer]:
        training = self._readable(_fittable(self.parts.training_examples(examples[0].task)))
        told = [""] * len(examples)
        for fitted, rows in [(training, range(len(examples)))] if training else _folds(examples):
            tested = [examples[row] for row in rows]
            for row, name in zip(rows, self._told(fitted, tested, _commonest(training or examples)), strict=True):
                told[row] = name
            if progress:
                progress(len(tested))
        return [Answer(text=name) for name in told]

    def _told(self, fitted: Sequence[Example], tested: Sequence[Example], commonest: str) -> list[str]:
        names = tuple(sorted({example.target for example in fitted}))
        if len(names) < 2:  # nothing to fit on; what only the tested clips tell must not be told
            return [commonest] * len(tested)
        probe = fit_probe(self._cues(fitted), [example.target for example in fitted], Outputs(names), _PENALTY)
        return [str(name) for name in probe.predict(self._cues(tested))]

    def _cues(self, examples: Sequence[Example]) -> Tensor:
        return torch.from_numpy(np.stack([self._hear(example.utterance) for example in examples])).float()

    def _hear(self, utterance: Utterance) -> np.ndarray:
        known = self.parts.mean_log_mels
        if utterance.audio not in known:  # ids need not differ between splits
            known[utterance.audio] = mean_log_mels(audio.load(utterance.audio).samples)
        return known[utterance.audio]

    def _readable(self, examples: Sequence[Example]) -> list[Example]:
        """Training examples whose clips can be heard; those tested on have been tried before."""
        readable = []
        for example in examples:
            try:
                self._hear(example.utterance)
            except AudioError as error:
                logger.warning("clip %s is not fitted on: %s", example.utterance.id, error)
                continue
            readable.append(example)
        return readable


def _commonest(examples: Sequence[Example]) -> str:
    counts = Counter(example.target for example in examples)
    return min(counts, key=lambda target: (-counts[target], target))


def _fittable(examples: Sequence[Example]) -> Sequence[Example]:
    """As many as are fitted on, chosen by hash: a manifest may come sorted by class."""
    if len(examples) <= _FITTED_ON:
        return examples
    return sorted(examples, key=lambda example: hash_seed(0, "fitted", example.id))[:_FITTED_ON]


def _folds(examples: Sequence[Example]) -> list[tuple[list[Example], list[int]]]:
    """What is fitted on and the rows tested, fold by fold."""
    folds = speaker_folds([example.utterance for example in examples], seed=0)
    return [([examples[row] for row in fitted], tested) for fitted, tested in folds]


SYSTEMS: dict[str, Callable[[Parts], System]] = {
    kind.name: kind for kind in (SpeechVerseSystem, CtcCascade, Cascade, Oracle, LogMel, Majority)
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
