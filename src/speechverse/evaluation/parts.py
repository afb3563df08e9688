"""What a system is, what systems are built from, and systems by name: all under the same tasks,
instructions and metrics.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np

from speechverse.decoding import DecodingOptions
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.encoders.whisper_text import WhisperRecogniser
from speechverse.errors import UserError
from speechverse.evaluation.provenance import find_recogniser, find_whisper, short_name
from speechverse.progress import Advance, Watch, ignore, watch_nothing
from speechverse.protocols import Model, Processor
from speechverse.registry import SYSTEMS
from speechverse.types import Answer, AudioRef, Ended, Example, Seconds, Utterance

if TYPE_CHECKING:  # `ask --system cascade-whisper` needs no extra
    from speechverse.data import FeatureCache

Found = TypeVar("Found")

FITTED = ("specialist", "tf-idf")
TUNED = ("cascade-whisper-tuned", "cascade-tuned", "oracle-tuned")
"""Systems that want a training part, and a LoRA that reads."""

OPEN_SET = "its answers are no closed set"
"""Why a system that knows no words cannot answer a task: nothing worth a note."""

ONE_CLIP = "it hears one clip, and is asked about several at once"
"""Why most rivals cannot answer such questions."""


def asks_about_several(examples: Sequence[Example]) -> bool:
    """Whether an instruction is about more than one clip."""
    return any(example.utterance.beside for example in examples)


class System(Protocol):
    """Anything that answers examples.

    Attributes:
        name: The name in tables and on the command line.
        title: What it is, in one line of the report.
        hears: Whether it needs what the encoder hears.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    hears: ClassVar[bool]

    def missing(self, examples: Sequence[Example]) -> str | None:
        """Why it cannot answer these examples of one task, in words; None if it can."""

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        """One answer for each example, in order."""


class OfFamily:
    """Mixed into a system of which there are many: its name is the family's and, behind a colon,
    which of them it is, a folder by its last part.
    """

    family: ClassVar[str]
    title: ClassVar[str]
    which: ClassVar[str]

    @classmethod
    def of(cls, which: str) -> type[Self]:
        """The class of that one."""
        short = short_name(which)
        told = {"which": which, "name": f"{cls.family}:{short}", "title": f"{cls.title}: {short}"}
        return type(cls.__name__, (cls,), told)


@dataclass
class Parts:
    """What systems are built from; transcripts are made once and shared by all tasks.

    Attributes:
        options: How all systems decode.
        cache: Encoder outputs by utterance, if there are any.
        training_examples: Name of a task to examples of the training split; none where there is no
            such split.
        recogniser: The encoder's own CTC recogniser, if it is loaded already.
        whisper: Whisper with its decoder (the encoder's own, or a known part), if it is loaded.
        reader_lora: Folder of the LoRA that was trained to read transcripts, for the tuned
            cascades.
        encode: Puts the clips of more examples into the cache, and gives it; None where nothing is
            kept.
        watch: Told how far a system's own fitting is.
        notes: What a system has to say for itself in the results.
        transcripts: By kind and utterance.
        endings: Why each transcript ended, by kind and utterance, where that is known.
    """

    model: Model
    processor: Processor
    options: DecodingOptions
    cache: FeatureCache | None = None
    training_examples: Callable[[str], Sequence[Example]] = lambda task: ()
    recogniser: CtcRecogniser | None = None
    whisper: WhisperRecogniser | None = None
    reader_lora: Path | None = None
    encode: Callable[[Sequence[Example]], Any] | None = None
    watch: Watch = watch_nothing
    notes: list[str] = field(default_factory=list)
    transcripts: dict[str, dict[str, str]] = field(default_factory=dict)
    endings: dict[str, dict[str, Ended]] = field(default_factory=dict)
    mean_log_mels: dict[AudioRef, np.ndarray] = field(default_factory=dict)
    _absent: set[str] = field(default_factory=set, init=False)
    _took: dict[str, dict[str, Seconds]] = field(default_factory=dict, init=False)
    _writing: Seconds = field(default=0.0, init=False)
    _owed: Seconds = field(default=0.0, init=False)

    def find_recogniser(self) -> CtcRecogniser | None:
        """The CTC recogniser, loaded when first asked for."""
        if self.recogniser is None:
            self.recogniser = self._look("recogniser", find_recogniser)
        return self.recogniser

    def find_whisper(self) -> WhisperRecogniser | None:
        """Whisper with its decoder, loaded when first asked for."""
        if self.whisper is None:
            self.whisper = self._look("whisper", find_whisper)
        return self.whisper

    def _look(self, what: str, find: Callable[[Model], tuple[Found | None, str]]) -> Found | None:
        """What there is, or None: that is noted, and not looked for again."""
        if what in self._absent:
            return None
        found, why_none = find(self.model)
        if found is None:
            self._absent.add(what)
            self.notes.append(why_none)
        return found

    def transcribe(
        self,
        kind: str,
        utterances: Sequence[Utterance],
        make: Callable[[Sequence[Utterance]], Sequence[str]],
    ) -> Mapping[str, str]:
        """Transcripts of one kind by a clip's id; each clip is transcribed once."""
        known = self.transcripts.setdefault(kind, {})
        clips = [clip for utterance in utterances for clip in utterance.clips]
        new = list({clip.id: clip for clip in clips if clip.id not in known}.values())
        took = self._took.setdefault(kind, {})
        if new:
            began = time.perf_counter()
            known.update(zip((u.id for u in new), make(new), strict=True))
            spent = time.perf_counter() - began
            took.update(dict.fromkeys((u.id for u in new), spent / len(new)))
            self._writing += spent
        mean = sum(took.values()) / max(1, len(took))  # for those an earlier run had written
        self._owed += sum(took.get(clip.id, mean) for clip in clips)
        return known

    def clock(self) -> Seconds:
        """Wall time in which everybody who stands on a transcript pays for it in full, not the
        first of them alone: what lies between two looks is what a system would take by itself.
        """
        return time.perf_counter() - self._writing + self._owed


def make_systems(names: Sequence[str], parts: Parts) -> list[System]:
    """Systems by name, `family:WHICH` or `path/to/file.py:NAME`, in the order asked for.

    Raises:
        UserError: If two different ones have the same name, or one cannot be made.
    """
    check_systems(names)
    systems: dict[str, System] = {}
    for asked in dict.fromkeys(names):
        system = SYSTEMS[asked](parts)
        if system.name in systems:
            raise UserError(f"two systems are called '{system.name}'; rename a folder or file")
        systems[system.name] = system
    return list(systems.values())


def check_systems(names: Sequence[str]) -> None:
    """Refuses names that are none of `SYSTEMS`, and files that hold no system.

    Raises:
        UserError: For an unknown name, or none at all.
    """
    if not names:
        raise UserError(f"no system to evaluate; name some of: {', '.join(SYSTEMS)}")
    for name in names:
        SYSTEMS[name]
