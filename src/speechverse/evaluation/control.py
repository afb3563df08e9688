"""The control: whether an answer comes from the clip, or could have been given without it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from speechverse.evaluation.cascades import SpeechVerseSystem
from speechverse.progress import Advance, ignore
from speechverse.seeding import fingerprint, hash_seed
from speechverse.types import Answer, Example, Utterance

Pair = tuple[Utterance, Utterance]


@dataclass
class OtherClip(SpeechVerseSystem):
    """The model is asked the same, and hears another clip of the split, in which something else is
    said.
    """

    name: ClassVar[str] = "other-clip"
    title: ClassVar[str] = "control: the model hears another clip than the one it is asked about"
    others: dict[tuple[str, str], Utterance] = field(default_factory=dict)

    @property
    def stands_on(self) -> str:
        """Which clips are heard instead: they depend on all that are asked."""
        return fingerprint(*(f"{key} {clip.id}\n" for key, clip in sorted(self.others.items())))

    def missing(self, examples: Sequence[Example]) -> str | None:
        """Pairs the clips of a task, for here they are all together."""
        clips = list({example.utterance.id: example.utterance for example in examples}.values())
        pairs = {(examples[0].task, clip.id): other for clip, other in pairs_of(clips) if examples}
        self.others |= pairs
        return None if len(pairs) == len(clips) else "there is no other clip to hear"

    def answer(self, examples: Sequence[Example], progress: Advance = ignore) -> list[Answer]:
        heard = [
            replace(example, utterance=self.others[example.task, example.utterance.id])
            for example in examples
        ]
        return super().answer(heard, progress)


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
