"""Sounds of any length written down, several stretches at a time, in memory that does not grow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from speechverse.audio import AudioSource, load_blocks
from speechverse.errors import UserError
from speechverse.longform.cutting import Stretch, cut_at_pauses
from speechverse.longform.transcript import Segment, Transcript
from speechverse.longform.writers import Writer
from speechverse.progress import Advance, ignore
from speechverse.types import SAMPLING_RATE, Seconds

OnError = Literal["raise", "skip"]
"""What a list gives in which one sound or instruction cannot be asked about: nothing, or the
answers to the others.
"""

AT_ONCE = 8
"""Stretches written together: so much is lost when a run is stopped."""


@dataclass
class _Heard:
    """What is known of a sound so far."""

    progress: Advance
    seconds: Seconds = 0.0
    segments: list[Segment] = field(default_factory=list)
    waiting: int = 0
    whole: bool = False
    error: str | None = None
    fault: UserError | None = None
    _told: int = 0

    def count(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for block in blocks:
            self.seconds += len(block) / SAMPLING_RATE
            yield block

    def tell(self, seconds: Seconds) -> None:
        self.progress(int(seconds) - self._told)
        self._told = int(seconds)


def transcripts(
    sounds: Iterable[AudioSource],
    writer: Writer,
    on_error: OnError = "raise",
    progress: Advance = ignore,
) -> Iterator[Transcript]:
    """What is said in each sound, in their order; whoever stops asking stops the work.

    Sounds are opened as they are needed, and stretches of several short ones are written together.

    Args:
        on_error: Whether a sound that cannot be read ends all, behind the transcripts of those
            before it, or has a transcript with an `error`.
        progress: Is told how many more seconds of sound are done with.

    Raises:
        AudioError: If a sound cannot be read.
    """
    waiting, batch = deque[_Heard](), list[tuple[_Heard, Stretch]]()
    for heard, stretch in _stretches(sounds, writer.longest, on_error, progress):
        if stretch is None:
            waiting.append(heard)
        else:
            batch.append((heard, stretch))
            heard.waiting += 1
        if len(batch) == AT_ONCE:
            _write(batch, writer)
            batch = []
        yield from _finished(waiting, writer)
    _write(batch, writer)
    yield from _finished(waiting, writer)


def segments(sound: AudioSource, writer: Writer) -> Iterator[Segment]:
    """What is said in one sound, as it is written: the first stretch alone, for the least delay.

    Raises:
        AudioError: If it cannot be read.
    """
    size, batch = 1, list[Stretch]()
    for stretch in cut_at_pauses(load_blocks(sound), writer.longest):
        batch.append(stretch)
        if len(batch) == size:
            yield from _write_batch(batch, writer)
            size, batch = min(2 * size, AT_ONCE), []
    yield from _write_batch(batch, writer)


def _stretches(
    sounds: Iterable[AudioSource], longest: Seconds, on_error: str, progress: Advance
) -> Iterator[tuple[_Heard, Stretch | None]]:
    """Each stretch with the sound it belongs to; None where a sound begins."""
    for number, sound in enumerate(sounds, start=1):
        heard = _Heard(progress)
        yield heard, None
        try:
            for stretch in cut_at_pauses(heard.count(load_blocks(sound)), longest):
                yield heard, stretch
        except UserError as error:
            if on_error == "raise":
                if number > 1:
                    error.args = (f"sound number {number}: {error}",)
                heard.fault, heard.whole = error, True
                return
            heard.error = str(error)
        heard.whole = True


def _write(batch: Sequence[tuple[_Heard, Stretch]], writer: Writer) -> None:
    written = _write_batch([stretch for _, stretch in batch], writer)
    for (heard, _), segment in zip(batch, written, strict=True):
        heard.segments.append(segment)
        heard.waiting -= 1
        heard.tell(segment.end)


def _write_batch(batch: Sequence[Stretch], writer: Writer) -> list[Segment]:
    if not batch:
        return []
    answers = writer([stretch.samples for stretch in batch])
    return [
        Segment(stretch.start, stretch.end, answer.text.strip(), answer.ended)
        for stretch, answer in zip(batch, answers, strict=True)
    ]


def _finished(waiting: deque[_Heard], writer: Writer) -> Iterator[Transcript]:
    while waiting and waiting[0].whole and not waiting[0].waiting:
        heard = waiting.popleft()
        if heard.fault is not None:
            raise heard.fault
        heard.tell(heard.seconds)
        yield Transcript(
            tuple(heard.segments),
            heard.seconds,
            writer.title,
            writer.language,
            heard.error,
            writer.task,
        )
