"""What sounds are made of: coloured noise, overtones, struck and repeated pieces, at 16 kHz."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from speechverse.types import SAMPLING_RATE, Seconds

Maker = Callable[[int, np.random.Generator], np.ndarray]
"""Makes so many samples, at any level."""


def coloured(power: float) -> Maker:
    """Noise whose amplitude falls with frequency to the given power."""

    def make(count: int, rng: np.random.Generator) -> np.ndarray:
        size = 1 << (count - 1).bit_length()
        spectrum = np.fft.rfft(rng.standard_normal(size))
        frequencies = np.maximum(np.fft.rfftfreq(size, 1.0 / SAMPLING_RATE), 30.0)
        return np.fft.irfft(spectrum * frequencies**-power, size)[:count]

    return make


def time_of(count: int) -> np.ndarray:
    """Seconds at each of so many samples."""
    return np.arange(count) / SAMPLING_RATE


def partials(
    frequency: float | np.ndarray, count: int, rng: np.random.Generator, number: int = 5
) -> np.ndarray:
    """A tone with falling overtones; `frequency` in Hz may move with time (T,)."""
    phase = (
        2
        * np.pi
        * np.cumsum(np.broadcast_to(np.asarray(frequency, dtype=np.float64), (count,)))
        / SAMPLING_RATE
    )
    weights = rng.uniform(0.3, 1.0, number) / np.arange(1, number + 1)
    return np.sum([weight * np.sin((k + 1) * phase) for k, weight in enumerate(weights)], axis=0)


def swelling(count: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """A sine of a rate, in Hz, between the two, from any point of its course."""
    return np.sin(2 * np.pi * rng.uniform(low, high) * time_of(count) + rng.uniform(0, 2 * np.pi))


def ringing(frequency: float, decay: Seconds, seconds: Seconds) -> np.ndarray:
    """A struck thing: a sine in Hz that falls to a third in `decay` seconds."""
    time = time_of(round(seconds * SAMPLING_RATE))
    return np.sin(2 * np.pi * frequency * time) * np.exp(-time / decay)


def place(count: int, piece: np.ndarray, starts: np.ndarray, gains: np.ndarray) -> np.ndarray:
    """So many samples with a piece at each start, as loud as its gain says."""
    beats = np.zeros(count)
    np.add.at(beats, np.minimum(starts.astype(int), count - 1), gains)
    size = 1 << (count + len(piece)).bit_length()
    return np.fft.irfft(np.fft.rfft(beats, size) * np.fft.rfft(piece, size), size)[:count]


def band(samples: np.ndarray, low: float, high: float) -> np.ndarray:
    """What of (T,) lies between two frequencies in Hz, with soft edges."""
    size = 1 << (len(samples) - 1).bit_length()
    frequencies = np.maximum(np.fft.rfftfreq(size, 1.0 / SAMPLING_RATE), 1.0)
    gain = 1.0 / np.sqrt((1.0 + (low / frequencies) ** 4) * (1.0 + (frequencies / high) ** 4))
    return np.fft.irfft(np.fft.rfft(samples, size) * gain, size)[: len(samples)]
