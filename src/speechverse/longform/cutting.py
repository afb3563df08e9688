"""A sound of any length as stretches of speech, cut at its pauses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from speechverse.longform.voice import WINDOW, VoiceMeter
from speechverse.types import SAMPLING_RATE, Seconds

_VOICED = 0.35  # probability; a lower one than usual, for a lost word is worse than some noise
_SURE, _FEWEST_SURE = 0.5, 3  # a stretch without so many sure windows (0.1 s) is no speech
_MARGIN: Seconds = 0.25  # kept on both sides of speech
_PAUSE: Seconds = 0.5  # ends a stretch that is no longer short
_SHORT: Seconds = 6.0
_LONG_PAUSE: Seconds = 2.0  # ends any stretch
_SMOOTHING = 9  # windows, 0.3 s
_AT_ONCE = 512  # windows, 16 s


class Stretch(NamedTuple):
    """Part of a sound in which somebody speaks: where it begins, and float32 (T,) at 16 kHz."""

    start: Seconds
    samples: np.ndarray

    @property
    def end(self) -> Seconds:
        return self.start + len(self.samples) / SAMPLING_RATE


def cut_at_pauses(blocks: Iterable[np.ndarray], longest: Seconds) -> Iterator[Stretch]:
    """The stretches of speech in a sound, one after the other, none longer than `longest`.

    They do not overlap, and what lies between them is no speech, so no word is in two of them or in
    none. Where nobody pauses for so long, the cut falls where a voice is least likely.

    Args:
        blocks: The sound, float32 (T,) each at 16 kHz; it is taken as it is needed, and only the
            stretch that is not over yet is held.
        longest: In seconds.
    """
    return _cut(blocks, _Cutter(longest))


def tile(blocks: Iterable[np.ndarray], longest: Seconds) -> Iterator[Stretch]:
    """As `cut_at_pauses`, but all of the sound, as few parts as there can be: what is asked may be
    about something else than speech.
    """
    return _cut(blocks, _Tiler(longest))


def _cut(blocks: Iterable[np.ndarray], cutter: _Cutter) -> Iterator[Stretch]:
    meter = VoiceMeter()
    for samples in _by_windows(blocks):
        windows = np.pad(samples, (0, -len(samples) % WINDOW)).reshape(-1, WINDOW)
        for number, voiced in enumerate(meter(windows).tolist()):
            yield from cutter.take(samples[number * WINDOW : (number + 1) * WINDOW], voiced)
    yield from cutter.rest()


def _by_windows(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The same samples in blocks of whole windows, but for the last."""
    size, kept = _AT_ONCE * WINDOW, np.zeros(0, np.float32)
    for block in blocks:
        kept = np.concatenate([kept, block])
        whole = len(kept) // size * size
        yield from np.split(kept[:whole], whole // size) if whole else ()
        kept = kept[whole:]
    if len(kept):
        yield kept


class _Cutter:
    """Holds windows from the first that may belong to the next stretch."""

    def __init__(self, longest: Seconds) -> None:
        self._most = max(2, _in_windows(longest))
        self._margin = min(_in_windows(_MARGIN), self._most // 4)
        self._short = min(_in_windows(_SHORT), self._most // 4)
        self._first = 0  # number of the first window held
        self._held: list[np.ndarray] = []
        self._voiced: list[float] = []
        self._spoken = 0  # windows held up to the last in which somebody speaks

    def take(self, window: np.ndarray, voiced: float) -> Iterator[Stretch]:
        """The next window, and how likely somebody speaks in it; gives what ends with it."""
        self._held.append(window)
        self._voiced.append(voiced)
        if voiced >= _VOICED:
            self._spoken = len(self._held)
        pause = len(self._held) - self._spoken
        if not self._spoken:
            self._drop(pause - self._margin)
        elif pause >= _in_windows(_PAUSE if self._spoken > self._short else _LONG_PAUSE):
            yield from self._end(self._spoken + self._margin)
        elif len(self._held) == self._most:
            yield from self._end(self._best_cut())

    def rest(self) -> Iterator[Stretch]:
        """What the sound ends with."""
        if self._spoken:
            yield from self._end(self._spoken + self._margin)

    def _best_cut(self) -> int:
        """Where a voice is least likely, in the second half, and not so near to the end that hardly
        anything is left for what follows.
        """
        begin = self._most // 2
        last = max(begin + 1, len(self._voiced) - self._margin)
        # Beyond the ends it goes on as it is there: zeros would make the last window a pause.
        padded = np.pad(self._voiced, _SMOOTHING // 2, mode="edge")
        smooth = np.convolve(padded, np.ones(_SMOOTHING) / _SMOOTHING, "valid")
        return begin + int(np.argmin(smooth[begin:last])) if begin else 1

    def _end(self, at: int) -> Iterator[Stretch]:
        if self._is_speech(self._voiced[:at]):
            start = self._first * WINDOW / SAMPLING_RATE
            yield Stretch(start, np.concatenate(self._held[:at]))
        self._drop(at)

    def _is_speech(self, voiced: Sequence[float]) -> bool:
        return sum(one >= _SURE for one in voiced) >= _FEWEST_SURE

    def _drop(self, count: int) -> None:
        count = min(max(0, count), len(self._held))
        del self._held[:count], self._voiced[:count]
        self._first += count
        voiced = [number for number, one in enumerate(self._voiced) if one >= _VOICED]
        self._spoken = voiced[-1] + 1 if voiced else 0


class _Tiler(_Cutter):
    """Holds every window, and cuts when one comes that is too many: a sound of just the longest
    length is one part.
    """

    def __init__(self, longest: Seconds) -> None:
        super().__init__(longest)
        self._most_samples = max(2 * WINDOW, int(longest * SAMPLING_RATE))

    def take(self, window: np.ndarray, voiced: float) -> Iterator[Stretch]:
        if len(self._held) * WINDOW + len(window) > self._most_samples:
            yield from self._end(self._best_cut())
        self._held.append(window)
        self._voiced.append(voiced)

    def rest(self) -> Iterator[Stretch]:
        if self._held:
            yield from self._end(len(self._held))

    def _is_speech(self, voiced: Sequence[float]) -> bool:
        return True


def _in_windows(seconds: Seconds) -> int:
    return int(seconds * SAMPLING_RATE / WINDOW)
