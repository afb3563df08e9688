"""Sound to files: FLAC or WAV, 16 bit, written aside and then renamed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile

from speechverse.audio.waveform import Waveform
from speechverse.errors import AudioError, no_room
from speechverse.files import atomic_write

_FORMATS = {".flac": "FLAC", ".wav": "WAV"}


def save(path: str | Path, waveform: Waveform) -> Path:
    """Writes a clip as 16-bit FLAC or WAV, by the name's ending, whole or not at all.

    Raises:
        AudioError: Another ending, samples that are not finite or beyond full scale, a rate that
            the format does not take, or the disk refused.
    """
    path = Path(path)
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise AudioError(f"cannot write '{path}': name it .flac or .wav")
    if not np.all(np.isfinite(waveform.samples)):
        raise AudioError(f"cannot write '{path}': it has samples that are not numbers")
    if len(waveform.samples) and float(np.abs(waveform.samples).max()) > 1.0:
        raise AudioError(
            f"cannot write '{path}': samples go beyond full scale (-1 to 1); lower the level first"
        )
    memory = io.BytesIO()  # libsndfile does not tell of a full disk
    rate = waveform.sampling_rate
    try:
        soundfile.write(memory, waveform.samples, rate, format=kind, subtype="PCM_16")
    except soundfile.LibsndfileError as error:
        raise AudioError(
            f"cannot write '{path}': {kind} does not take {rate} Hz; resample to 16000"
        ) from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as aside:
            aside.write_bytes(memory.getvalue())
    except OSError as error:
        full = no_room(error)
        reason = (
            f"the disk is full or a limit on it is reached ({full})" if full else error.strerror
        )
        raise AudioError(f"cannot write '{path}': {reason}") from error
    return path
