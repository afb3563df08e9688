"""A stretch of mono sound in memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from speechverse.types import SAMPLING_RATE, Seconds

_WINDOW = 400  # 25 ms
_PAUSE_DB = 30.0  # under the loudest window
_SILENT_DB = -65.0  # below full scale
_QUIET_DB = 45.0  # under the loudest 10 ms
_FAINT_DB = 35.0  # under the loudest tenth of a second
_LOUD_WINDOWS = 4
_MARGIN: Seconds = 0.01


class Waveform(NamedTuple):
    """Mono sound, float32 (T,) within about -1 to 1, at a rate in Hz."""

    samples: np.ndarray
    sampling_rate: int = SAMPLING_RATE

    @property
    def duration(self) -> Seconds:
        """Length in seconds."""
        return len(self.samples) / self.sampling_rate


def level_db(samples: np.ndarray) -> float:
    """Root-mean-square level in dB below full scale; about -200 for digital silence."""
    mean_square = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10.0 * float(np.log10(mean_square + 1e-20))


def window_levels_db(samples: np.ndarray, window: int = _WINDOW) -> np.ndarray:
    """Level of each whole window of (T,) in dB below full scale; of all if there is none."""
    if len(samples) < window:
        return np.array([level_db(samples)])
    count = len(samples) // window
    frames = samples[: count * window].reshape(count, window).astype(np.float64)
    return 10.0 * np.log10(np.mean(frames**2, axis=1) + 1e-20)


def active_level_db(samples: np.ndarray) -> float:
    """Level of the windows at most 30 dB under the loudest; pauses do not count."""
    levels = window_levels_db(samples)
    active = levels[levels >= levels.max() - _PAUSE_DB]
    return 10.0 * float(np.log10(np.mean(10.0 ** (active / 10.0))))


def is_silent(waveform: Waveform) -> bool:
    """Whether nothing in the clip rises above -65 dB below full scale, in windows of 25 ms."""
    return bool(window_levels_db(waveform.samples).max() < _SILENT_DB)


def without_quiet_end(samples: np.ndarray, kept: Seconds) -> np.ndarray:
    """A view of (T,) at 16 kHz that ends so long behind its last window of 25 ms that sounds; one
    that is silent or ends before is whole.

    A window sounds that is at most 35 dB under the loudest four, of which a click is none.
    """
    levels = window_levels_db(samples)
    if levels.max() < _SILENT_DB:
        return samples
    loud = np.sort(levels)[-_LOUD_WINDOWS:].min()
    sounding = np.flatnonzero(levels > loud - _FAINT_DB)
    return samples[: int(sounding[-1] + 1) * _WINDOW + round(kept * SAMPLING_RATE)]


def trim_silence(samples: np.ndarray, sampling_rate: int) -> np.ndarray:
    """A view of (T,) without what is quiet at both ends: 45 dB under the loudest 10 ms."""
    window = sampling_rate // 100
    levels = window_levels_db(samples, window)
    sounding = np.flatnonzero(levels > max(float(levels.max()) - _QUIET_DB, -100.0))
    if len(sounding) == 0:
        return samples
    kept = int(_MARGIN * sampling_rate)
    first, last = int(sounding[0]) * window, int(sounding[-1] + 1) * window
    return samples[max(0, first - kept) : last + kept]
