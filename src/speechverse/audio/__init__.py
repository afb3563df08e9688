"""Sound in and out: decode and resample to 16 kHz mono, save, find silence."""

from __future__ import annotations

from speechverse.audio.address import Address
from speechverse.audio.decode import (
    AudioSource,
    duration_of,
    extent_of,
    load,
    load_blocks,
    load_stream,
)
from speechverse.audio.encode import save
from speechverse.audio.resampling import resample
from speechverse.audio.waveform import Waveform, is_silent

__all__ = [
    "Address",
    "AudioSource",
    "Waveform",
    "duration_of",
    "extent_of",
    "is_silent",
    "load",
    "load_blocks",
    "load_stream",
    "resample",
    "save",
]
