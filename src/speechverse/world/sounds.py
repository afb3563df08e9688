"""Sounds that are not speech, from noises and tones to music and machines; also the noises laid
under speech.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from speechverse.types import SAMPLING_RATE, Seconds
from speechverse.world.scenes import SCENES
from speechverse.world.tones import Maker, coloured, partials, time_of

if TYPE_CHECKING:  # the worker starts without the language
    from speechverse.world.language.sentence import Part


def make_sound(name: str, seconds: Seconds, rng: np.random.Generator) -> np.ndarray:
    """One of `SOUNDS`, float32 (T,) at 16 kHz, scaled to a peak of 1; `rng` draws pitch, rhythm and
    the rest.
    """
    samples = SOUNDS[name](round(seconds * SAMPLING_RATE), rng)
    return (samples / max(float(np.abs(samples).max()), 1e-9)).astype(np.float32)


def _tone(count: int, rng: np.random.Generator) -> np.ndarray:
    return partials(float(rng.uniform(150, 1800)), count, rng, number=int(rng.integers(1, 4)))


def _hum(count: int, rng: np.random.Generator) -> np.ndarray:
    return partials(
        float(rng.choice([50.0, 60.0, 100.0])), count, rng, 8
    ) + 0.03 * rng.standard_normal(count)


def _notes(count: int, rng: np.random.Generator, together: int, seconds: float) -> np.ndarray:
    """Plucked notes of one scale, one after the other, `together` at a time."""
    scale = float(rng.uniform(110, 330)) * 2 ** (np.array([0, 2, 4, 7, 9, 12, 14, 16]) / 12)
    length = max(1, int(seconds * SAMPLING_RATE))
    fade = np.exp(-time_of(length) / (seconds * rng.uniform(0.3, 0.9))) * np.minimum(
        1, time_of(length) / 0.005
    )
    pieces = []
    for _ in range(-(-count // length)):
        chosen = rng.choice(scale, together, replace=False)
        pieces.append(
            fade * np.sum([partials(float(note), length, rng, 4) for note in chosen], axis=0)
        )
    return np.concatenate(pieces)[:count]


def _chords(count: int, rng: np.random.Generator) -> np.ndarray:
    return _notes(count, rng, together=3, seconds=float(rng.uniform(0.5, 1.2)))


def _arpeggio(count: int, rng: np.random.Generator) -> np.ndarray:
    return _notes(count, rng, together=1, seconds=float(rng.uniform(0.12, 0.35)))


def _clicks(count: int, rng: np.random.Generator) -> np.ndarray:
    beats = np.zeros(count)
    beats[rng.integers(0, count, max(2, int(count / SAMPLING_RATE * rng.uniform(2, 12))))] = 1.0
    ring = np.sin(2 * np.pi * rng.uniform(500, 3500) * time_of(800)) * np.exp(
        -time_of(800) / rng.uniform(0.002, 0.01)
    )
    return np.convolve(beats, ring)[:count] + 0.002 * rng.standard_normal(count)


def _engine(count: int, rng: np.random.Generator) -> np.ndarray:
    speed = rng.uniform(25, 70) * (
        1 + 0.15 * np.sin(2 * np.pi * rng.uniform(0.1, 0.6) * time_of(count))
    )
    rumble = coloured(1.0)(count, rng)
    return partials(speed, count, rng, 12) + 1.5 * rumble / np.abs(rumble).max()


def _wind(count: int, rng: np.random.Generator) -> np.ndarray:
    gusts = 1 + 0.8 * np.sin(
        2 * np.pi * rng.uniform(0.15, 0.7) * time_of(count) + rng.uniform(0, 6)
    )
    return coloured(0.8)(count, rng) * gusts


def _breath(count: int, rng: np.random.Generator) -> np.ndarray:
    rhythm = np.maximum(0, np.sin(2 * np.pi * rng.uniform(0.4, 0.9) * time_of(count))) ** 2
    return coloured(0.4)(count, rng) * (rhythm + 0.01)


def _beeps(count: int, rng: np.random.Generator) -> np.ndarray:
    on = np.sin(2 * np.pi * rng.uniform(1, 4) * time_of(count)) > rng.uniform(-0.3, 0.5)
    return partials(float(rng.uniform(400, 2000)), count, rng, 2) * on


def _siren(count: int, rng: np.random.Generator) -> np.ndarray:
    sweep = np.sin(2 * np.pi * rng.uniform(0.3, 2.0) * time_of(count))
    return partials(rng.uniform(600, 900) * 2 ** (0.5 * sweep), count, rng, 3)


SOUNDS: dict[str, Maker] = {
    "white noise": coloured(0.0),
    "pink noise": coloured(0.5),
    "brown noise": coloured(1.0),
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
    **SCENES,
}
"""Name of a sound → what makes it."""

HELD_OUT_SOUND = "siren"
"""Only ever in test parts: what is not speech must be told from sounds never heard."""

HELD_OUT_BACKGROUND = "washing machine"
"""Only ever in test parts, alone or under speech."""

BABBLE = "babble"
"""Voices in the background; made by espeak-ng, so never a sound of its own."""

_BACKGROUNDS = (
    "white noise",
    "pink noise",
    "brown noise",
    "hum",
    "engine",
    "wind",
    "fan",
    "rain",
    "crowd",
    "music",
    HELD_OUT_BACKGROUND,
    BABBLE,
)


def sounds(part: Part) -> tuple[str, ...]:
    """Names of the sounds that a part may have alone."""
    return tuple(
        name
        for name in SOUNDS
        if part == "test" or name not in (HELD_OUT_SOUND, HELD_OUT_BACKGROUND)
    )


def backgrounds(part: Part) -> tuple[str, ...]:
    """Names of the sounds that a part may have under speech."""
    return tuple(name for name in _BACKGROUNDS if part == "test" or name != HELD_OUT_BACKGROUND)
