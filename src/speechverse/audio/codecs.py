"""What telephones and compressed files do to sound: bands, codecs at low rates,
overdriven peaks.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import soundfile
import soxr

from speechverse.audio.augment import filtered
from speechverse.audio.resampling import resample
from speechverse.errors import UserError, unknown_name
from speechverse.types import SAMPLING_RATE


@dataclass(frozen=True, slots=True)
class _Codec:
    """A format of libsndfile, the rate in Hz that it is fed with, and how hard it compresses, 0 to
    1.
    """

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

TELEPHONE_BAND = (300.0, 3400.0)
"""Hz, as telephones have it."""


def through_codec(samples: np.ndarray, name: str) -> np.ndarray:
    """What one of `CODECS` leaves of a clip, float32 (T,) at 16 kHz, made quieter first where
    beyond full scale.

    Raises:
        UserError: No such codec.
    """
    if name not in _CODECS:
        raise UserError(unknown_name("codec", name, _CODECS))
    codec = _CODECS[name]
    fed = samples / max(1.0, float(np.abs(samples).max(initial=0.0)) / 0.95)
    if codec.sampling_rate != SAMPLING_RATE:
        fed = soxr.resample(fed, SAMPLING_RATE, codec.sampling_rate)
    memory = io.BytesIO()
    settings = {} if codec.compression is None else {"compression_level": codec.compression}
    soundfile.write(
        memory, fed, codec.sampling_rate, format=codec.container, subtype=codec.subtype, **settings
    )
    memory.seek(0)
    heard, rate = soundfile.read(memory, dtype="float32")
    kept = resample(heard, rate)[: len(samples)]
    return np.pad(kept, (0, len(samples) - len(kept))).astype(np.float32)


def through_telephone(samples: np.ndarray) -> np.ndarray:
    """Leaves of (T,) at 16 kHz what lies in the telephone band, with soft edges."""
    low, high = TELEPHONE_BAND

    def gain(hertz: np.ndarray) -> np.ndarray:
        heard = np.maximum(hertz, 1.0)
        return 1.0 / np.sqrt((1.0 + (low / heard) ** 8) * (1.0 + (heard / high) ** 24))

    return filtered(samples, gain)


def clip_peaks(samples: np.ndarray, share: float) -> np.ndarray:
    """Cuts off the loudest samples of (T,), as an overdriven microphone does.

    Args:
        samples: (T,).
        share: Of the samples that sound (those within 40 dB of the peak), those that are cut.
    """
    loudness = np.abs(samples)
    sounding = loudness[loudness > 0.01 * loudness.max(initial=0.0)]
    if share <= 0 or not len(sounding):
        return samples
    limit = float(np.quantile(sounding, 1.0 - share))
    return np.clip(samples, -limit, limit).astype(np.float32)
