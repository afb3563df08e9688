"""Where a clip sounds, and how to cut a long one at its pauses."""

from __future__ import annotations

import numpy as np

from speechverse.audio.waveform import Waveform, window_levels_db
from speechverse.errors import AudioError
from speechverse.types import Seconds

_STEP = 0.01  # s, the grid on which levels are looked at


def trim_silence(samples: np.ndarray, sampling_rate: int, floor_db: float = 45.0, margin: Seconds = 0.01) -> np.ndarray:
    """Cuts off what is quiet at both ends.

    Args:
        samples: (T,).
        sampling_rate: Hz.
        floor_db: Quiet is what lies this far under the loudest 10 ms.
        margin: Kept at each end, in seconds.

    Returns:
        A view of `samples`; all of it if nothing sounds.
    """
    window = int(_STEP * sampling_rate)
    levels = window_levels_db(samples, window)
    sounding = np.flatnonzero(levels > max(float(levels.max()) - floor_db, -100.0))
    if len(sounding) == 0:
        return samples
    kept = int(margin * sampling_rate)
    first, last = int(sounding[0]) * window, int(sounding[-1] + 1) * window
    return samples[max(0, first - kept) : last + kept]


def split_at_pauses(waveform: Waveform, max_seconds: Seconds, search: float = 0.4) -> list[tuple[Seconds, Seconds]]:
    """Cuts a long clip into parts no longer than a limit, each cut at the quietest moment near the part's end.

    Args:
        waveform: The clip.
        max_seconds: Longest part.
        search: The last share of a part in which its end may lie.

    Returns:
        (start, duration) of each part in seconds; together they cover the clip without gap or overlap.

    Raises:
        AudioError: The limit is under 0.1 s.
    """
    if max_seconds < 0.1:
        raise AudioError(f"parts of {max_seconds} s are too short to cut a clip into: 0.1 s is the least")
    rate = waveform.sampling_rate
    bounds = [0]
    while len(waveform.samples) - bounds[-1] > max_seconds * rate:
        begin = bounds[-1]
        first = begin + max(1, int(max_seconds * (1 - search) * rate))
        last = begin + int(max_seconds * rate)
        bounds.append(first + _quietest(waveform.samples[first:last], int(5 * _STEP * rate)))
    bounds.append(len(waveform.samples))
    return [(start / rate, (stop - start) / rate) for start, stop in zip(bounds, bounds[1:], strict=False)]


def _quietest(samples: np.ndarray, window: int) -> int:
    """Middle of the quietest window; the latest one where several are alike."""
    levels = window_levels_db(samples, window)
    if len(samples) < window:
        return len(samples)
    latest = len(levels) - 1 - int(np.argmin(levels[::-1]))
    return latest * window + window // 2
