"""Sounds that are not speech: noises, tones, machines, music-like figures. Also the noises laid under speech."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from speechverse.types import SAMPLING_RATE, Seconds

Maker = Callable[[int, np.random.Generator], np.ndarray]


def make_sound(name: str, seconds: Seconds, rng: np.random.Generator) -> np.ndarray:
    """A sound of one kind, at 16 kHz, scaled to a peak of 1.

    Args:
        name: One of `SOUNDS`.
        seconds: How long.
        rng: Draws pitch, rhythm and the rest.

    Returns:
        float32 (T,).
    """
    samples = SOUNDS[name](round(seconds * SAMPLING_RATE), rng)
    return (samples / max(float(np.abs(samples).max()), 1e-9)).astype(np.float32)


def _coloured(power: float) -> Maker:
    """Noise whose amplitude falls with frequency to the given power."""

    def make(count: int, rng: np.random.Generator) -> np.ndarray:
        size = 1 << (count - 1).bit_length()
        spectrum = np.fft.rfft(rng.standard_normal(size))
        frequencies = np.maximum(np.fft.rfftfreq(size, 1.0 / SAMPLING_RATE), 30.0)
        return np.fft.irfft(spectrum * frequencies**-power, size)[:count]

    return make


def _time(count: int) -> np.ndarray:
    return np.arange(count) / SAMPLING_RATE


def _partials(frequency: float | np.ndarray, count: int, rng: np.random.Generator, number: int = 5) -> np.ndarray:
    """A tone with falling overtones; `frequency` in Hz may move with time (T,)."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(np.asarray(frequency, dtype=np.float64), (count,))) / SAMPLING_RATE
    weights = rng.uniform(0.3, 1.0, number) / np.arange(1, number + 1)
    return np.sum([weight * np.sin((k + 1) * phase) for k, weight in enumerate(weights)], axis=0)


def _tone(count: int, rng: np.random.Generator) -> np.ndarray:
    return _partials(float(rng.uniform(150, 1800)), count, rng, number=int(rng.integers(1, 4)))


def _hum(count: int, rng: np.random.Generator) -> np.ndarray:
    return _partials(float(rng.choice([50.0, 60.0, 100.0])), count, rng, 8) + 0.03 * rng.standard_normal(count)


def _notes(count: int, rng: np.random.Generator, together: int, seconds: float) -> np.ndarray:
    """Plucked notes of one scale, one after the other, `together` at a time."""
    scale = float(rng.uniform(110, 330)) * 2 ** (np.array([0, 2, 4, 7, 9, 12, 14, 16]) / 12)
    length = max(1, int(seconds * SAMPLING_RATE))
    fade = np.exp(-_time(length) / (seconds * rng.uniform(0.3, 0.9))) * np.minimum(1, _time(length) / 0.005)
    pieces = []
    for _ in range(-(-count // length)):
        chosen = rng.choice(scale, together, replace=False)
        pieces.append(fade * np.sum([_partials(float(note), length, rng, 4) for note in chosen], axis=0))
    return np.concatenate(pieces)[:count]


def _chords(count: int, rng: np.random.Generator) -> np.ndarray:
    return _notes(count, rng, together=3, seconds=float(rng.uniform(0.5, 1.2)))


def _arpeggio(count: int, rng: np.random.Generator) -> np.ndarray:
    return _notes(count, rng, together=1, seconds=float(rng.uniform(0.12, 0.35)))


def _clicks(count: int, rng: np.random.Generator) -> np.ndarray:
    beats = np.zeros(count)
    beats[rng.integers(0, count, max(2, int(count / SAMPLING_RATE * rng.uniform(2, 12))))] = 1.0
    ring = np.sin(2 * np.pi * rng.uniform(500, 3500) * _time(800)) * np.exp(-_time(800) / rng.uniform(0.002, 0.01))
    return np.convolve(beats, ring)[:count] + 0.002 * rng.standard_normal(count)


def _engine(count: int, rng: np.random.Generator) -> np.ndarray:
    speed = rng.uniform(25, 70) * (1 + 0.15 * np.sin(2 * np.pi * rng.uniform(0.1, 0.6) * _time(count)))
    rumble = _coloured(1.0)(count, rng)
    return _partials(speed, count, rng, 12) + 1.5 * rumble / np.abs(rumble).max()


def _wind(count: int, rng: np.random.Generator) -> np.ndarray:
    gusts = 1 + 0.8 * np.sin(2 * np.pi * rng.uniform(0.15, 0.7) * _time(count) + rng.uniform(0, 6))
    return _coloured(0.8)(count, rng) * gusts


def _breath(count: int, rng: np.random.Generator) -> np.ndarray:
    rhythm = np.maximum(0, np.sin(2 * np.pi * rng.uniform(0.4, 0.9) * _time(count))) ** 2
    return _coloured(0.4)(count, rng) * (rhythm + 0.01)


def _beeps(count: int, rng: np.random.Generator) -> np.ndarray:
    on = np.sin(2 * np.pi * rng.uniform(1, 4) * _time(count)) > rng.uniform(-0.3, 0.5)
    return _partials(float(rng.uniform(400, 2000)), count, rng, 2) * on


def _siren(count: int, rng: np.random.Generator) -> np.ndarray:
    sweep = np.sin(2 * np.pi * rng.uniform(0.3, 2.0) * _time(count))
    return _partials(rng.uniform(600, 900) * 2 ** (0.5 * sweep), count, rng, 3)


SOUNDS: dict[str, Maker] = {
    "white noise": _coloured(0.0),
    "pink noise": _coloured(0.5),
    "brown noise": _coloured(1.0),
    "tone": _tone,
    "hum": _hum,
    "chords": _chords,
    "arpeggio": _arpeggio,
    "clicks": _clicks,
    "engine": _engine,
    "wind": _wind,
    "breath": _breath,
    "beeps": _beeps,
    "siren": _siren,
}
"""Name of a sound → what makes it."""

HELD_OUT_SOUND = "siren"
"""Only ever in test parts: what is not speech must be told from sounds never heard."""

BACKGROUNDS = ("white noise", "pink noise", "brown noise", "hum", "engine", "wind")
"""Sounds that may lie under speech."""
