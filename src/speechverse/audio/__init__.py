"""Sound in and out: decode and resample to 16 kHz mono, save, augment, find silence."""

from __future__ import annotations

from speechverse.audio.decode import AudioSource, duration_of, extents, load
from speechverse.audio.encode import save
from speechverse.audio.resampling import resample
from speechverse.audio.waveform import Waveform, is_silent

__all__ = ["AudioSource", "Waveform", "duration_of", "extents", "is_silent", "load", "resample", "save"]
