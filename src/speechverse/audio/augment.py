"""Changes to a clip that keep its words: rooms, noise, tilt, level.

All draws come from the generator given.
"""

from __future__ import annotations

import numpy as np

from speechverse.audio.waveform import active_level_db, level_db
from speechverse.types import SAMPLING_RATE, Seconds


def at_level(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Scales a clip so that its sounding parts have the level given (dBFS), or less where peaks would clip."""
    if not np.any(samples):
        return samples
    gain = 10.0 ** ((decibels - active_level_db(samples)) / 20.0)
    return (samples * min(gain, 0.95 / float(np.abs(samples).max()))).astype(np.float32)


def add_noise(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Adds noise at a ratio of the clip's sounding parts to the noise.

    Args:
        samples: (T,).
        noise: (N,), repeated or cut to T.
        snr_db: Signal-to-noise ratio in dB.

    Returns:
        (T,); may go beyond full scale, see `at_level`.
    """
    if not np.any(noise):
        return samples
    fitted = np.resize(noise, len(samples))
    gain = 10.0 ** ((active_level_db(samples) - snr_db - level_db(fitted)) / 20.0)
    return (samples + gain * fitted).astype(np.float32)


def add_room(
    samples: np.ndarray, rng: np.random.Generator, reverberation: Seconds = 0.3, mix: float = 0.3
) -> np.ndarray:
    """Puts a clip into a room: the direct sound, and a tail of decaying noise behind it.

    Args:
        samples: (T,) at 16 kHz.
        rng: Draws the room.
        reverberation: Time in which the tail falls by 60 dB.
        mix: Energy of the tail against that of the direct sound.

    Returns:
        (T,): what rings on after the end is left out.
    """
    length = max(1, int(reverberation * SAMPLING_RATE))
    tail = rng.standard_normal(length) * 10.0 ** (-3.0 * np.arange(length) / length)
    tail[: int(0.003 * SAMPLING_RATE)] = 0.0  # the first reflection comes later than the direct sound
    response = tail * np.sqrt(mix / max(float(np.sum(tail**2)), 1e-12))
    response[0] = 1.0
    return convolve(samples, response)


def convolve(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The first T samples of the convolution of (T,) with (K,), through the Fourier transform."""
    size = 1 << (len(samples) + len(response) - 1).bit_length()
    product = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(product, size)[: len(samples)].astype(np.float32)


def tilt_spectrum(samples: np.ndarray, tilt_db: float) -> np.ndarray:
    """Tilts the spectrum of (T,) at 16 kHz around 1 kHz, by dB an octave; constant below 125 Hz, negative is duller."""
    size = 1 << (len(samples) - 1).bit_length()
    frequencies = np.fft.rfftfreq(size, 1.0 / SAMPLING_RATE)
    gain = (np.maximum(frequencies, 125.0) / 1000.0) ** (tilt_db / 6.0206)
    return np.fft.irfft(np.fft.rfft(samples, size) * gain, size)[: len(samples)].astype(np.float32)
