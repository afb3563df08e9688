"""From any sampling rate to the 16 kHz that every encoder hears."""

from __future__ import annotations

import numpy as np

from speechverse.types import SAMPLING_RATE


def resample(samples: np.ndarray, rate: float) -> np.ndarray:
    """Resamples mono float32 (T,) from a rate in Hz to 16 kHz."""
    if rate == SAMPLING_RATE:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, rate, SAMPLING_RATE, quality="HQ"), dtype=np.float32)
