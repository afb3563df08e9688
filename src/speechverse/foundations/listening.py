"""Recordings of any length, heard once from end to end: what can be read of them, cut into windows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from speechverse.audio import Waveform, duration_of, is_silent, load
from speechverse.errors import AudioError
from speechverse.types import SAMPLING_RATE, AudioRef, Seconds, Utterance

SHORTEST: Seconds = 0.3
"""Of a recording that is used; there is nothing to hide and to guess in a shorter one."""
_STRETCH: Seconds = 600.0
"""Of a recording that is in memory at once."""
_DIGITS = 4  # of a window's bounds: a tenth of a millisecond


class Window(NamedTuple):
    """A part of a recording; `start` is None where it is the whole, `seconds` is how long it is."""

    start: Seconds | None
    seconds: Seconds

    def of(self, recording: Utterance) -> Utterance:
        """The part itself; nobody knows which of the words are in which window, so only the whole has any."""
        if self.start is None:
            return replace(recording, duration=self.seconds)
        ref = AudioRef(recording.audio.path, self.start, self.seconds)
        name = f"{recording.id}@{self.start:.2f}"
        return Utterance(name, ref, self.seconds, speaker=recording.speaker, language=recording.language)


@dataclass(frozen=True)
class Heard:
    """What one recording gave.

    Attributes:
        windows: What sounds, in its order; none is longer than asked for.
        silent: Windows left out because nothing sounds in them.
        too_short: Whether it was left out as shorter than `SHORTEST`.
        problem: Why it cannot be read; "" if it can.
    """

    windows: tuple[Window, ...] = ()
    silent: int = 0
    too_short: bool = False
    problem: str = ""


def listen(recording: Utterance, longest: Seconds) -> Heard:
    """Decodes a recording and cuts it.

    Args:
        recording: Its `duration` is not looked at.
        longest: Of a window, in seconds.
    """
    try:
        length = recording.audio.duration or duration_of(recording.audio.path) - recording.audio.start
        if length < SHORTEST:
            return Heard(too_short=True)
        windows = cut(recording.audio.start, length, longest)
        refs = [window.of(recording).audio for window in windows]
        sounds = [not is_silent(Waveform(samples)) for samples in samples_of(refs)]
    except AudioError as error:
        return Heard(problem=str(error))
    kept = tuple(window for window, sound in zip(windows, sounds, strict=True) if sound)
    return Heard(kept, len(windows) - len(kept))


def cut(start: Seconds, length: Seconds, longest: Seconds) -> list[Window]:
    """Windows of like length that hold all of a recording; one if that is not too long."""
    count = math.ceil(length / longest - 1e-6)
    if count <= 1:
        return [Window(None, length)]
    bounds = [round(start + length * number / count, _DIGITS) for number in range(count + 1)]
    return [Window(begin, round(end - begin, _DIGITS)) for begin, end in pairwise(bounds)]


def samples_of(refs: Sequence[AudioRef]) -> Iterator[np.ndarray]:
    """The samples of each; windows of one file are read a long stretch at a time.

    Some formats cannot be sought in: each window on its own would decode all that comes before it.

    Raises:
        AudioError: As `load`.
    """
    for stretch in _stretches(refs):
        first, last = stretch[0], stretch[-1]
        if len(stretch) == 1:
            yield load(first).samples
            continue
        samples = load(AudioRef(first.path, first.start, _end(last) - first.start)).samples
        for ref in stretch:
            begin, end = (round((time - first.start) * SAMPLING_RATE) for time in (ref.start, _end(ref)))
            yield samples[begin:end]


def _stretches(refs: Sequence[AudioRef]) -> Iterator[list[AudioRef]]:
    stretch: list[AudioRef] = []
    for ref in refs:
        if stretch and not _goes_on(stretch, ref):
            yield stretch
            stretch = []
        stretch.append(ref)
    if stretch:
        yield stretch


def _goes_on(stretch: Sequence[AudioRef], ref: AudioRef) -> bool:
    first, last = stretch[0], stretch[-1]
    if ref.path != last.path or ref.duration is None or last.duration is None:
        return False
    return last.start < ref.start and _end(ref) - first.start <= _STRETCH


def _end(ref: AudioRef) -> Seconds:
    return ref.start + (ref.duration or 0.0)
