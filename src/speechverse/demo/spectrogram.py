"""A small picture of a sound of any length, in memory that does not grow with it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from speechverse.audio import duration_of, load_blocks
from speechverse.types import SAMPLING_RATE, Seconds

_WINDOW = 512  # 32 ms
_WIDTH, _HEIGHT = 900, 96
_RANGE_DB = 70.0
_SILENCE = 1e-10  # power of a window without sound
_INK = (31, 111, 139)


def spectrogram(clip: str | Path) -> tuple[bytes, Seconds]:
    """A PNG of one ink on nothing, which does on light and dark ground, and the sound's length.

    Raises:
        AudioError: If the sound cannot be read.
    """
    seconds = duration_of(clip)
    hop = max(_WINDOW // 4, int(seconds * SAMPLING_RATE / _WIDTH))
    hann, power = np.hanning(_WINDOW), list[np.ndarray]()
    for window in _windows(load_blocks(clip), hop):
        power.append(np.abs(np.fft.rfft(window * hann)) ** 2)
    levels = 10 * np.log10(np.array(power) + _SILENCE)[:, _mel_rows()].T
    peak = max(levels.max(), 10 * np.log10(_SILENCE) + _RANGE_DB)  # silence is no peak
    shade = np.clip((levels - peak) / _RANGE_DB + 1, 0, 1)
    return _png(shade), seconds


def _windows(blocks: Iterator[np.ndarray], hop: int) -> Iterator[np.ndarray]:
    """A window every so many samples; one at least, filled with silence."""
    kept, start, given = np.zeros(0, np.float32), 0, False
    for block in blocks:
        kept = np.concatenate([kept, block])
        while start + _WINDOW <= len(kept):
            yield kept[start : start + _WINDOW]
            given, start = True, start + hop
        kept, start = kept[start:], max(0, start - len(kept))
    if not given:
        yield np.pad(kept, (0, _WINDOW - len(kept)))


def _mel_rows() -> np.ndarray:
    """Numbers of the frequencies shown, the highest first, as far apart as they sound."""
    top = 1127 * np.log1p(SAMPLING_RATE / 2 / 700)
    hertz = 700 * np.expm1(np.linspace(top, 0, _HEIGHT) / 1127)
    return np.rint(hertz * _WINDOW / SAMPLING_RATE).astype(int)


def _png(shade: np.ndarray) -> bytes:
    from PIL import Image

    ink = np.empty((*shade.shape, 4), np.uint8)
    ink[..., :3] = _INK
    ink[..., 3] = shade * 255
    file = io.BytesIO()
    Image.fromarray(ink).save(file, "PNG")
    return file.getvalue()
