"""What sounds are made of, at 16 kHz: noise, tones, repeated pieces, filters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from speechverse.types import SAMPLING_RATE, Seconds

Maker = Callable[[int, np.random.Generator], np.ndarray]
"""Makes so many samples, at any level."""


def coloured_noise(power: float) -> Maker:
    """Noise whose amplitude falls with frequency to the given power."""

    def make(count: int, rng: np.random.Generator) -> np.ndarray:
        noise = rng.standard_normal(1 << (count - 1).bit_length())
        return filter_spectrum(noise, lambda hertz: np.maximum(hertz, 30.0) ** -power)[:count]

    return make


def seconds_of(count: int) -> np.ndarray:
    """Seconds at each of so many samples."""
    return np.arange(count) / SAMPLING_RATE


def harmonics(
    frequency: float | np.ndarray, count: int, rng: np.random.Generator, number: int = 5
) -> np.ndarray:
    """A tone with falling overtones; `frequency` in Hz may move with time (T,)."""
    course = np.broadcast_to(np.asarray(frequency, dtype=np.float64), (count,))
    phase = 2 * np.pi * np.cumsum(course) / SAMPLING_RATE
    weights = rng.uniform(0.3, 1.0, number) / np.arange(1, number + 1)
    return np.sum([weight * np.sin((k + 1) * phase) for k, weight in enumerate(weights)], axis=0)


def slow_sine(count: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """A sine of a rate, in Hz, between the two, with any phase: it modulates other sounds."""
    return np.sin(
        2 * np.pi * rng.uniform(low, high) * seconds_of(count) + rng.uniform(0, 2 * np.pi)
    )


def damped_sine(frequency: float, decay: Seconds, seconds: Seconds) -> np.ndarray:
    """A struck thing: a sine in Hz that falls to a third in `decay` seconds."""
    time = seconds_of(round(seconds * SAMPLING_RATE))
    return np.sin(2 * np.pi * frequency * time) * np.exp(-time / decay)


def overlap_add(
    count: int, piece: np.ndarray, starts: np.ndarray, gains: float | np.ndarray = 1.0
) -> np.ndarray:
    """So many samples with a piece at each start, as loud as its gain says."""
    impulses = np.zeros(count)
    np.add.at(impulses, np.minimum(starts.astype(int), count - 1), gains)
    size = 1 << (count + len(piece)).bit_length()
    return np.fft.irfft(np.fft.rfft(impulses, size) * np.fft.rfft(piece, size), size)[:count]


def bandpass(samples: np.ndarray, low: float, high: float) -> np.ndarray:
    """What of (T,) lies between two frequencies in Hz, with soft edges."""

    def gain(hertz: np.ndarray) -> np.ndarray:
        hertz = np.maximum(hertz, 1.0)
        return 1.0 / np.sqrt((1.0 + (low / hertz) ** 4) * (1.0 + (hertz / high) ** 4))

    return filter_spectrum(samples, gain)


def filter_spectrum(samples: np.ndarray, gain: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Scales the spectrum of (T,) by a gain for each frequency in Hz."""
    size = 1 << (len(samples) - 1).bit_length()
    scales = gain(np.fft.rfftfreq(size, 1.0 / SAMPLING_RATE))
    return np.fft.irfft(np.fft.rfft(samples, size) * scales, size)[: len(samples)]
