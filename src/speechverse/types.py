"""The small immutable records that travel between the packages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args

Value = TypeVar("Value")

Seconds = float
"""A duration or a point in time, in seconds."""

SAMPLING_RATE = 16_000
"""Hz; every encoder of the framework hears 16 kHz mono."""

Precision = Literal["fp32", "bf16", "fp16"]
"""Of frozen parts; what was trained stays in fp32."""

CacheMode = Literal["temporary", "keep", "none"]
"""Whether an evaluation keeps encoder outputs: until all is answered, for good, or not at all."""

TOKENS_A_SECOND, TOKENS_BESIDE = 8, 32
"""Nobody speaks faster: by them grows the longest text that a sound may have."""

AUDIO_SIGN = "<|audio|>"
"""Where a clip stands in an instruction about several."""

IGNORED = -100
"""The label that no loss counts."""


@dataclass(frozen=True, slots=True)
class AudioRef:
    """Where a stretch of audio lies: a file, and the part of it that is meant.

    Attributes:
        path: The audio file.
        start: Where the part begins, in seconds.
        duration: How long it is, in seconds; None means to the end of the file.
    """

    path: Path
    start: Seconds = 0.0
    duration: Seconds | None = None


class Origin(NamedTuple):
    """The line of a file that something was read from; lines count from 1."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path} line {self.line}"


class PartCount(NamedTuple):
    """Parameters of one part of a model."""

    part: str
    total: int
    trainable: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """One labelled stretch of audio; it knows nothing of tasks.

    Attributes:
        id: Unique within its corpus.
        audio: Where the sound is.
        duration: Length in seconds.
        text: What is said, if known; the empty string where nothing is said.
        speaker: Who speaks, if known.
        language: BCP-47 code of the speech, if known.
        labels: Everything else known of it, by label field (`intent`, `slots`, `emotion`, ...; see
            docs/data.md).
        beside: Further clips that one instruction is about, behind this one; each is an utterance
            of its own.
        origin: Where it was read, for people; it is no part of what the utterance is.
    """

    id: str
    audio: AudioRef
    duration: Seconds
    text: str | None = None
    speaker: str | None = None
    language: str | None = None
    labels: Mapping[str, Any] = field(default_factory=dict)
    beside: tuple[Utterance, ...] = ()
    origin: Origin | None = field(default=None, compare=False, repr=False)

    @property
    def place(self) -> str:
        """Where to look for it: file and line, or its id."""
        return str(self.origin) if self.origin else f"clip '{self.id}'"

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who speaks; `anna+ben` are two."""
        return tuple(self.speaker.split("+")) if self.speaker else ()

    @property
    def num_samples(self) -> int:
        """Its length in samples, as models hear it."""
        return round(self.duration * SAMPLING_RATE)

    @property
    def clips(self) -> tuple[Utterance, ...]:
        """The clips, in the order in which they stand in an instruction; mostly this one alone."""
        return (self, *self.beside)

    def of_clips(self, value: Callable[[Utterance], Value]) -> Value | list[Value]:
        """What a model takes of a sound: of several clips a list."""
        return [value(clip) for clip in self.clips] if self.beside else value(self)


class Turn(NamedTuple):
    """An instruction and what it was answered with."""

    instruction: str
    answer: str


@dataclass(frozen=True, slots=True)
class Dialogue:
    """An instruction that follows earlier turns about the same sound, or is about several.

    Attributes:
        instruction: What is asked now.
        earlier: What was asked and answered before; the sound stands in the first of them alone.
        num_clips: How many clips stand at the `<|audio|>` signs of the first instruction; None is
            one clip where the prompt template has it, and such a sign is plain text.
    """

    instruction: str
    earlier: tuple[Turn, ...] = ()
    num_clips: int | None = None


Prompt = str | Dialogue
"""What a model is to answer beside the sound: an instruction alone, or behind earlier turns."""


class Lengths(NamedTuple):
    """LLM positions of an example: its prompt with the audio (or transcript), and its answer with
    the end token.
    """

    prompt: int
    answer: int


@dataclass(frozen=True, slots=True)
class Example:
    """An utterance joined with a task: what the model is asked, and what should come.

    Attributes:
        id: The utterance's id, the task's name and, where a task asks several things of one clip, a
            suffix.
        utterance: What the question is about.
        task: Name of the task.
        instruction: The instruction as the model reads it.
        target: The text the model should answer with.
        reference: The target as the task's parser reads it; what metrics compare with.
        choices: The answers allowed, where the set is closed; of a joint task one entry for each of
            its tasks.
        group: A part of the task that is scored apart (the target language of a translation), or
            "".
        earlier: Turns about the same utterance that came before; their answers are read, not
            learned.
        fields: What stands in the instruction for the task's own placeholders, such as the keyword
            that is searched for.
    """

    id: str
    utterance: Utterance
    task: str
    instruction: str
    target: str
    reference: Any
    choices: tuple[Any, ...] | None = None
    group: str = ""
    earlier: tuple[Turn, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def prompt(self) -> Prompt:
        """What the model reads beside the sound."""
        clips = len(self.utterance.clips) if self.utterance.beside else None
        if clips is None and not self.earlier:
            return self.instruction
        return Dialogue(self.instruction, self.earlier, clips)


Ended = Literal["end", "stop", "constraint", "length", "positions", "loop"]
"""Why an answer ended: by itself, before a stop string, where its constraint allowed no more, at
its limit of new tokens, at the LLM's last position, or turning in circles.
"""

CUT: frozenset[Ended] = frozenset(get_args(Ended)) - {"end", "stop", "constraint"}
"""What ends an answer from outside, so that something may be missing of it."""


class TokenLogProb(NamedTuple):
    """One token of an answer: what it adds to the text (nothing, where a character is not whole yet
    and at the end), and its log-probability, in nats, before anything constrained or changed it.
    """

    text: str
    log_prob: float


def shares_of(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores, taken for log-probabilities, as shares of one (softmax)."""
    best = max(scores.values(), default=0.0)
    weights = {choice: math.exp(score - best) for choice, score in scores.items()}
    total = sum(weights.values())
    return {choice: weight / total for choice, weight in weights.items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system said to one example.

    Attributes:
        text: The answer, as generated or chosen.
        ended: Why it ends where it does.
        limit: The most tokens it could have had, where it was generated.
        error: Why there is no answer, where whoever asked wanted the others all the same.
        choice_scores: Log-probability of each choice, where the answer was chosen by scoring.
        transcript: The transcript a cascade stood on, if there was one.
        logprobs: Its tokens, the end included, where they were asked for; their texts joined are
            the answer's.
        num_tokens: How many they are, where it was generated.
    """

    text: str
    choice_scores: Mapping[str, float] | None = None
    transcript: str | None = None
    ended: Ended = "end"
    limit: int | None = None
    error: str | None = None
    logprobs: tuple[TokenLogProb, ...] | None = None
    num_tokens: int | None = field(default=None, compare=False)

    @property
    def choice_probs(self) -> dict[str, float]:
        """The scores of the choices as shares of one; empty where nothing was scored."""
        return shares_of(self.choice_scores or {})

    @property
    def cut(self) -> bool:
        """Whether it was ended by anything but itself."""
        return self.ended in CUT
