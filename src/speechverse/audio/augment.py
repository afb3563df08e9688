"""Changes to a clip that keep its words: rooms, noise, tilt, level.

All draws come from the generator given.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from speechverse.audio.waveform import active_level_db, level_db
from speechverse.types import SAMPLING_RATE, Seconds

_FIRST_SAMPLE = int(0.003 * SAMPLING_RATE)  # the first reflection comes later than the direct sound
_EARLY_SAMPLES = int(0.04 * SAMPLING_RATE)
_WALLS = 8
_LATE_SHARE = 0.6  # of the energy of all reflections
_ROOM_BANDS = {(0, 500): 1.2, (500, 2000): 1.0, (2000, 4000): 0.75, (4000, 8001): 0.5}
"""Band in Hz → its reverberation time against that of middle frequencies."""


def at_level(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Scales a clip so that its sounding parts have the level given (dBFS), or less where peaks
    would clip.
    """
    if not np.any(samples):
        return samples
    gain = 10.0 ** ((decibels - active_level_db(samples)) / 20.0)
    return (samples * min(gain, 0.95 / float(np.abs(samples).max()))).astype(np.float32)


def add_noise(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Adds noise at a ratio of the clip's sounding parts to the noise.

    Args:
        samples: (T,).
        noise: (N,), repeated or cut to T.
        snr_db: The ratio.

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
    """Puts a clip into a room: direct sound, single reflections from the walls, then a tail that
    gets duller.

    Args:
        samples: (T,) at 16 kHz.
        rng: Draws the room.
        reverberation: Time in which the tail falls by 60 dB at middle frequencies (T60).
        mix: Energy of all reflections against that of the direct sound.

    Returns:
        (T,): what rings on after the end is left out.
    """
    length = max(_EARLY_SAMPLES, int(1.2 * reverberation * SAMPLING_RATE))
    reflections = _tail(length, rng, reverberation)
    reflections *= np.sqrt(_LATE_SHARE / max(float(np.sum(reflections**2)), 1e-12))
    early = _early(rng)
    reflections[:_EARLY_SAMPLES] += early * np.sqrt((1.0 - _LATE_SHARE) / float(np.sum(early**2)))
    response = np.sqrt(mix) * reflections
    response[0] = 1.0
    return convolve(samples, response)


def _early(rng: np.random.Generator) -> np.ndarray:
    """The first reflections: as many as walls, later ones weaker."""
    echoes = np.zeros(_EARLY_SAMPLES)
    arrivals = rng.integers(_FIRST_SAMPLE, _EARLY_SAMPLES, _WALLS)
    np.add.at(echoes, arrivals, rng.choice([-1.0, 1.0], _WALLS) * _FIRST_SAMPLE / arrivals)
    return echoes


def _tail(length: int, rng: np.random.Generator, reverberation: Seconds) -> np.ndarray:
    """Noise that decays band by band: low sounds ring on, air and cloth swallow the high ones."""
    size = 1 << (length - 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequencies = np.fft.rfftfreq(size, 1.0 / SAMPLING_RATE)
    decays = -3.0 * np.arange(length) / SAMPLING_RATE / reverberation
    tail = np.zeros(length)
    for (low, high), scale in _ROOM_BANDS.items():
        band = np.fft.irfft(
            np.where((frequencies >= low) & (frequencies < high), spectrum, 0.0), size
        )[:length]
        tail += band * 10.0 ** (decays / (scale * rng.uniform(0.9, 1.1)))
    tail[:_FIRST_SAMPLE] = 0.0
    return tail


def convolve(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The first T samples of the convolution of (T,) with (K,), through the Fourier transform."""
    size = 1 << (len(samples) + len(response) - 1).bit_length()
    product = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(product, size)[: len(samples)].astype(np.float32)


def tilt_spectrum(samples: np.ndarray, tilt_db: float) -> np.ndarray:
    """Tilts the spectrum of (T,) at 16 kHz around 1 kHz, by dB an octave; constant below 125 Hz,
    negative is duller.
    """
    return filtered(
        samples, lambda hertz: (np.maximum(hertz, 125.0) / 1000.0) ** (tilt_db / 6.0206)
    )


def filtered(samples: np.ndarray, gain: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Scales the spectrum of (T,) at 16 kHz by a gain for each frequency in Hz."""
    size = 1 << (len(samples) - 1).bit_length()
    scales = gain(np.fft.rfftfreq(size, 1.0 / SAMPLING_RATE))
    return np.fft.irfft(np.fft.rfft(samples, size) * scales, size)[: len(samples)].astype(
        np.float32
    )
