"""The control: whether an answer comes from the clip, or could have been given without it; of the
model as `other-clip`, of any system as `other-clip:SYSTEM`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from speechverse.evaluation.parts import Parts, System
from speechverse.progress import Advance, ignore
from speechverse.registry import SYSTEMS
from speechverse.seeding import fingerprint, hash_seed
from speechverse.types import Answer, Example, Utterance

Pair = tuple[Utterance, Utterance]


@dataclass
class OtherClip:
    """A system is asked the same, and hears another clip of the split, in which something else is
    said.
    """

    parts: Parts
    system: System = field(init=False)
    asked: ClassVar[str] = "speechverse"
    hears: ClassVar[bool] = True
    name: ClassVar[str] = "other-clip"
    title: ClassVar[str] = "control: the model hears another clip than the one it is asked about"
    others: dict[tuple[str, str], Utterance] = field(default_factory=dict)
    _stands_on: str | None = field(default=None, init=False)

    @classmethod
    def of(cls, which: str) -> type[OtherClip]:
        """The control of that system."""
        system = SYSTEMS[which]
        name = f"other-clip:{system.name}"
        title = f"control: another clip than the one it is asked about for {system.name}"
        told = {"asked": which, "hears": system.hears, "name": name, "title": title}
        return type(cls.__name__, (cls,), told)

    def __post_init__(self) -> None:
        self.system = SYSTEMS[self.asked](self.parts)

    @property
    def stands_on(self) -> str:
        """Which clips are heard instead: they depend on all that are asked."""
        if self._stands_on is None:  # each answer's key asks
            self._stands_on = self._pairs_fingerprint()
        return self._stands_on

    def _pairs_fingerprint(self) -> str:
        own = getattr(self.system, "stands_on", "")
        pairs = (f"{key} {clip.id}\n" for key, clip in sorted(self.others.items()))
        return fingerprint(own, *pairs)

    def missing(self, examples: Sequence[Example]) -> str | None:
        """Pairs the clips of a task, for here they are all together."""
        clips = list({example.utterance.id: example.utterance for example in examples}.values())
        pairs = {(examples[0].task, clip.id): other for clip, other in pairs_of(clips) if examples}
        self.others |= pairs
        self._stands_on = None
        if len(pairs) < len(clips):
            return "there is no other clip to hear"
        return self.system.missing(self.swapped(examples))

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        return self.system.answer(self.swapped(examples), progress)

    def swapped(self, examples: Sequence[Example]) -> list[Example]:
        """The same questions, about the clips that are heard instead."""
        return [
            replace(example, utterance=self.others[example.task, example.utterance.id])
            for example in examples
        ]


def plain(system: System) -> System:
    """Itself, or of a control the system that it is one of."""
    return system.system if isinstance(system, OtherClip) else system


def pairs_of(clips: Sequence[Utterance]) -> Iterator[Pair]:
    """Each clip with the next in an order drawn by hash that says something else; none where all
    say the same.
    """
    ring = sorted(clips, key=lambda clip: hash_seed(0, "other clip", clip.id))
    for place, clip in enumerate(ring):
        behind = (ring[(place + step) % len(ring)] for step in range(1, len(ring)))
        fitting = (one for one in behind if len(one.beside) == len(clip.beside))
        other = next((one for one in fitting if clip.text is None or one.text != clip.text), None)
        if other is not None:
            yield clip, other
