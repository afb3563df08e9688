"""What happens to a sound between mouth and file, its words kept: rooms, noise, levels, codecs.

All draws come from the generator given.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from speechverse.audio.resampling import resample
from speechverse.audio.waveform import active_level_db, level_db
from speechverse.types import SAMPLING_RATE, Seconds
from speechverse.world.signals import filter_spectrum

_FIRST_SAMPLE = int(0.003 * SAMPLING_RATE)  # the first reflection comes later than the direct sound
_EARLY_SAMPLES = int(0.04 * SAMPLING_RATE)
_WALLS = 8
_LATE_SHARE = 0.6  # of the energy of all reflections
_ROOM_BANDS = {(0, 500): 1.2, (500, 2000): 1.0, (2000, 4000): 0.75, (4000, 8001): 0.5}
"""Band in Hz → its reverberation time against that of middle frequencies."""

_TELEPHONE_BAND = (300.0, 3400.0)  # Hz


class _Codec(NamedTuple):
    """A format of libsndfile, the rate in Hz that it takes, and how hard it compresses (0 to 1)."""

    container: str
    subtype: str
    sampling_rate: int
    compression: float | None = None


_CODECS = {
    "mu-law": _Codec("WAV", "ULAW", 8_000),
    "gsm": _Codec("WAV", "GSM610", 8_000),
    "mp3": _Codec("MP3", "MPEG_LAYER_III", SAMPLING_RATE, 0.9),
    "opus": _Codec("OGG", "OPUS", SAMPLING_RATE, 1.0),
    "vorbis": _Codec("OGG", "VORBIS", SAMPLING_RATE, 1.0),
}
CODECS = tuple(_CODECS)
"""Names of codecs: mu-law and GSM 06.10 at 8 kHz, the others at about 10 to 16 kbit/s."""


def set_level(samples: np.ndarray, decibels: float) -> np.ndarray:
    """Scales a clip's sounding parts to a level (dBFS), or less where peaks would clip."""
    if not np.any(samples):
        return samples
    gain = 10.0 ** ((decibels - active_level_db(samples)) / 20.0)
    return (samples * min(gain, 0.95 / float(np.abs(samples).max()))).astype(np.float32)


def add_noise(samples: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Adds noise, repeated or cut to (T,), at a ratio of the clip's sounding parts to it.

    The result may go beyond full scale, see `set_level`.
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
    reflections = _late_reflections(length, rng, reverberation)
    reflections *= np.sqrt(_LATE_SHARE / max(float(np.sum(reflections**2)), 1e-12))
    early = _early_reflections(rng)
    reflections[:_EARLY_SAMPLES] += early * np.sqrt((1.0 - _LATE_SHARE) / float(np.sum(early**2)))
    response = np.sqrt(mix) * reflections
    response[0] = 1.0
    return convolve(samples, response)


def _early_reflections(rng: np.random.Generator) -> np.ndarray:
    """As many as walls, later ones weaker."""
    echoes = np.zeros(_EARLY_SAMPLES)
    arrivals = rng.integers(_FIRST_SAMPLE, _EARLY_SAMPLES, _WALLS)
    np.add.at(echoes, arrivals, rng.choice([-1.0, 1.0], _WALLS) * _FIRST_SAMPLE / arrivals)
    return echoes


def _late_reflections(length: int, rng: np.random.Generator, reverberation: Seconds) -> np.ndarray:
    """Noise that decays band by band: low sounds ring on, air and cloth swallow the high ones."""
    size = 1 << (length - 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(size))
    frequencies = np.fft.rfftfreq(size, 1.0 / SAMPLING_RATE)
    decays = -3.0 * np.arange(length) / SAMPLING_RATE / reverberation
    tail = np.zeros(length)
    for (low, high), scale in _ROOM_BANDS.items():
        in_band = (frequencies >= low) & (frequencies < high)
        band = np.fft.irfft(np.where(in_band, spectrum, 0.0), size)[:length]
        tail += band * 10.0 ** (decays / (scale * rng.uniform(0.9, 1.1)))
    tail[:_FIRST_SAMPLE] = 0.0
    return tail


def convolve(samples: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The first T samples of the convolution of (T,) with (K,), through the Fourier transform."""
    size = 1 << (len(samples) + len(response) - 1).bit_length()
    product = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.fft.irfft(product, size)[: len(samples)].astype(np.float32)


def tilt_spectrum(samples: np.ndarray, tilt_db: float) -> np.ndarray:
    """Tilts the spectrum of (T,) around 1 kHz by dB an octave; flat under 125 Hz."""
    power = tilt_db / 6.0206
    tilted = filter_spectrum(samples, lambda hz: (np.maximum(hz, 125.0) / 1000.0) ** power)
    return tilted.astype(np.float32)


def apply_codec(samples: np.ndarray, name: str) -> np.ndarray:
    """What one of `CODECS` leaves of a clip, float32 (T,); beyond full scale it is scaled first."""
    container, subtype, rate, compression = _CODECS[name]
    sent = samples / max(1.0, float(np.abs(samples).max(initial=0.0)) / 0.95)
    if rate != SAMPLING_RATE:
        sent = soxr.resample(sent, SAMPLING_RATE, rate)
    memory = io.BytesIO()
    settings = {} if compression is None else {"compression_level": compression}
    soundfile.write(memory, sent, rate, format=container, subtype=subtype, **settings)
    memory.seek(0)
    kept = resample(*soundfile.read(memory, dtype="float32"))[: len(samples)]
    return np.pad(kept, (0, len(samples) - len(kept))).astype(np.float32)


def limit_to_telephone_band(samples: np.ndarray) -> np.ndarray:
    """Leaves of (T,) at 16 kHz what lies in the telephone band, with soft edges."""
    low, high = _TELEPHONE_BAND

    def gain(hertz: np.ndarray) -> np.ndarray:
        hertz = np.maximum(hertz, 1.0)
        return 1.0 / np.sqrt((1.0 + (low / hertz) ** 8) * (1.0 + (hertz / high) ** 24))

    return filter_spectrum(samples, gain).astype(np.float32)


def clip_peaks(samples: np.ndarray, share: float) -> np.ndarray:
    """Cuts off the loudest of (T,), a share of the samples that are within 40 dB of the peak."""
    loudness = np.abs(samples)
    sounding = loudness[loudness > 0.01 * loudness.max(initial=0.0)]
    if share <= 0 or not len(sounding):
        return samples
    limit = float(np.quantile(sounding, 1.0 - share))
    return np.clip(samples, -limit, limit).astype(np.float32)
