"""Sound in and out: decode and resample to 16 kHz mono, save, augment, find silence."""

from __future__ import annotations

from speechverse.audio.decode import AudioSource, duration_of, load, resample
from speechverse.audio.encode import save
from speechverse.audio.waveform import Waveform, is_silent

__all__ = ["AudioSource", "Waveform", "duration_of", "is_silent", "load", "resample", "save"]
