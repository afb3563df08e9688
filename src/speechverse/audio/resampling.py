"""From any sampling rate to the 16 kHz that every encoder hears."""

from __future__ import annotations

from typing import Any

import numpy as np

from speechverse.types import SAMPLING_RATE


def resample(samples: np.ndarray, rate: float) -> np.ndarray:
    """Resamples mono float32 (T,) from a rate in Hz to 16 kHz."""
    if rate == SAMPLING_RATE:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, rate, SAMPLING_RATE, quality="HQ"), dtype=np.float32)


class Resampler:
    """As `resample`, block by block."""

    def __init__(self, rate: float) -> None:
        """From a rate in Hz."""
        self._stream: Any = None
        if rate != SAMPLING_RATE:
            import soxr

            self._stream = soxr.ResampleStream(rate, SAMPLING_RATE, 1, "float32", "HQ")

    def __call__(self, samples: np.ndarray, last: bool = False) -> np.ndarray:
        """What can be said of the next samples (T,) so far."""
        return self._stream.resample_chunk(samples, last) if self._stream else samples

    def rest(self) -> np.ndarray:
        """What is still to come, where no more samples do."""
        return self(np.zeros(0, np.float32), last=True)
