"""Sounds of everyday life that are not speech: music, machines, bells, rain, steps, bodies, crowds,
birds.
"""

from __future__ import annotations

import numpy as np

from speechverse.types import SAMPLING_RATE
from speechverse.world.tones import (
    Maker,
    band,
    coloured,
    partials,
    place,
    ringing,
    swelling,
    time_of,
)

_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11, 12), (0, 2, 3, 5, 7, 8, 10, 12)


def _even(samples: np.ndarray) -> np.ndarray:
    """The same at a level of 1, so that parts can be mixed."""
    return samples / max(float(np.sqrt(np.mean(samples**2))), 1e-9)


def _beats(count: int, every: float, rng: np.random.Generator, jitter: float = 0.0) -> np.ndarray:
    """Samples at which something happens about every so many seconds, from the first period on."""
    number = max(1, int(count / SAMPLING_RATE / every) + 1)
    offsets = (
        rng.uniform(0, 0.6) * every
        + every * np.arange(number)
        + rng.normal(0, 1, number) * jitter * every
    )
    starts = np.maximum(0, offsets) * SAMPLING_RATE
    return starts[starts < count] if np.any(starts < count) else np.zeros(1)


def _pick(rng: np.random.Generator, low: float, high: float, number: int) -> np.ndarray:
    return rng.uniform(low, high, number)


def _drums(count: int, rng: np.random.Generator) -> np.ndarray:
    beat = float(rng.uniform(0.3, 0.65))
    starts = np.arange(0, count, int(beat / 2 * SAMPLING_RATE))
    kick = ringing(float(rng.uniform(50, 80)), 0.08, 0.3)
    snare = band(rng.standard_normal(3200), 800, 6000) * np.exp(-time_of(3200) / 0.05)
    hat = band(rng.standard_normal(800), 5000, 8000) * np.exp(-time_of(800) / 0.015)
    fill = rng.random(len(starts)) < 0.2
    return (
        place(count, kick, starts[::4], np.ones(len(starts[::4])))
        + place(count, snare, starts[2::4], np.full(len(starts[2::4]), 0.6))
        + place(count, kick, starts[fill], np.full(int(fill.sum()), 0.7))
        + place(count, hat, starts, _pick(rng, 0.1, 0.4, len(starts)))
    )


def _melody(count: int, beat: float, root: float, rng: np.random.Generator) -> np.ndarray:
    """A tune that walks up and down a scale, in notes of one or two half beats."""
    scale, place_in_scale, notes = (
        _MAJOR if rng.random() < 0.6 else _MINOR,
        int(rng.integers(8)),
        [],
    )
    weights = rng.uniform(0.2, 1.0, 5) / np.arange(1, 6)
    length = 0
    while length < count:
        size = int(beat / 2 * SAMPLING_RATE) * int(rng.integers(1, 3))
        place_in_scale = int(np.clip(place_in_scale + rng.integers(-2, 3), 0, 7))
        phase = 2 * np.pi * root * 2 ** (scale[place_in_scale] / 12) * time_of(size)
        fade = np.minimum(1, time_of(size) / 0.02) * np.exp(-time_of(size) / rng.uniform(0.2, 0.8))
        notes.append(
            fade * np.sum([w * np.sin((k + 1) * phase) for k, w in enumerate(weights)], axis=0)
        )
        length += size
    return np.concatenate(notes)[:count]


def _music(count: int, rng: np.random.Generator) -> np.ndarray:
    beat, root = float(rng.uniform(0.3, 0.6)), float(rng.uniform(200, 500))
    parts = [_melody(count, beat, root, rng), 0.7 * _melody(count, 2 * beat, root / 4, rng)]
    if rng.random() < 0.7:
        parts.append(0.8 * _drums(count, rng))
    return np.sum([_even(part) for part in parts], axis=0)


def _fan(count: int, rng: np.random.Generator) -> np.ndarray:
    air = band(rng.standard_normal(count), 80, float(rng.uniform(600, 2000)))
    blades = partials(float(rng.uniform(40, 120)), count, rng, 6)
    return _even(air) * (1 + 0.1 * swelling(count, 3, 12, rng)) + rng.uniform(0.1, 0.6) * _even(
        blades
    )


def _drill(count: int, rng: np.random.Generator) -> np.ndarray:
    load = 1 - 0.25 * np.maximum(0, swelling(count, 0.2, 0.8, rng))
    motor = partials(rng.uniform(150, 400) * load, count, rng, 14)
    return _even(motor) + 0.5 * _even(band(rng.standard_normal(count), 2000, 7000)) * load


def _washing_machine(count: int, rng: np.random.Generator) -> np.ndarray:
    drum = 0.5 + 0.5 * np.maximum(0, swelling(count, 0.6, 1.2, rng))
    water = band(rng.standard_normal(count), 200, 1500) * np.maximum(
        0.1, swelling(count, 0.6, 1.2, rng)
    )
    return _even(partials(float(rng.uniform(45, 110)), count, rng, 10)) * drum + 0.8 * _even(water)


def _telephone(count: int, rng: np.random.Generator) -> np.ndarray:
    """Two tones that warble, on and off as a telephone rings."""
    low = float(rng.uniform(400, 1200))
    warble = np.where(swelling(count, 12, 25, rng) > 0, low, low * rng.uniform(1.15, 1.4))
    return partials(warble, count, rng, 4) * (swelling(count, 0.3, 0.8, rng) > -0.4)


def _alarm(count: int, rng: np.random.Generator) -> np.ndarray:
    """Quick groups of beeps, as of a clock."""
    return partials(float(rng.uniform(900, 3000)), count, rng, 3) * (
        (swelling(count, 6, 10, rng) > 0) & (swelling(count, 0.8, 1.4, rng) > -0.3)
    )


def _bell(count: int, rng: np.random.Generator) -> np.ndarray:
    root = float(rng.uniform(300, 1200))
    tones = [
        ringing(root * ratio, rng.uniform(0.2, 0.8), 2.0) / (k + 1)
        for k, ratio in enumerate((1, 2.0, 2.76, 5.4))
    ]
    starts = _beats(count, float(rng.uniform(0.5, 1.5)), rng, 0.05)
    return place(count, np.sum(tones, axis=0), starts, _pick(rng, 0.6, 1.0, len(starts)))


def _rain(count: int, rng: np.random.Generator) -> np.ndarray:
    drop = ringing(float(rng.uniform(1500, 5000)), 0.003, 0.02)
    number = int(count / SAMPLING_RATE * rng.uniform(40, 200)) + 1
    drops = place(count, drop, rng.integers(0, count, number), rng.exponential(1.0, number))
    return _even(drops) + rng.uniform(0.3, 1.2) * _even(band(rng.standard_normal(count), 500, 7000))


def _steps(count: int, rng: np.random.Generator) -> np.ndarray:
    sole = band(rng.standard_normal(1600), 60, float(rng.uniform(400, 2500))) * np.exp(
        -time_of(1600) / 0.03
    )
    starts = _beats(count, float(rng.uniform(0.35, 0.7)), rng, 0.05)
    return place(
        count, sole, starts, _pick(rng, 0.5, 1.0, len(starts))
    ) + 0.002 * rng.standard_normal(count)


def _knocking(count: int, rng: np.random.Generator) -> np.ndarray:
    wood = ringing(float(rng.uniform(120, 500)), 0.02, 0.15) + 0.5 * ringing(
        float(rng.uniform(600, 1500)), 0.01, 0.15
    )
    group = float(rng.uniform(0.15, 0.3)) * np.arange(rng.integers(2, 6))
    starts = (
        _beats(count, float(rng.uniform(1.5, 2.5)), rng, 0.1)[:, None] + group * SAMPLING_RATE
    ).ravel()
    starts = starts[starts < count]
    return place(
        count, wood, starts, _pick(rng, 0.5, 1.0, len(starts))
    ) + 0.001 * rng.standard_normal(count)


def _cough(count: int, rng: np.random.Generator) -> np.ndarray:
    """Bursts of air through a throat, one to three at a time."""
    size = int(rng.uniform(0.15, 0.35) * SAMPLING_RATE)
    throat = band(rng.standard_normal(size), 300, 1200) + 0.5 * band(
        rng.standard_normal(size), 1500, 4000
    )
    burst = (
        throat
        * np.minimum(1, time_of(size) / 0.01)
        * np.exp(-time_of(size) / rng.uniform(0.05, 0.12))
    )
    group = float(rng.uniform(0.3, 0.5)) * np.arange(rng.integers(1, 4))
    starts = (
        _beats(count, float(rng.uniform(1.5, 3.0)), rng, 0.2)[:, None] + group * SAMPLING_RATE
    ).ravel()
    starts = starts[starts < count]
    return place(
        count, burst, starts, _pick(rng, 0.4, 1.0, len(starts))
    ) + 0.003 * rng.standard_normal(count)


def _crowd(count: int, rng: np.random.Generator) -> np.ndarray:
    """Many throats at once and no word: hums whose pitch and vowel wander, in syllables of their
    own.
    """
    voices = []
    for _ in range(6):
        pitch = rng.uniform(90, 260) * 2 ** (0.15 * swelling(count, 0.3, 1.5, rng))
        syllables = np.maximum(0, swelling(count, 2.5, 6, rng)) * np.maximum(
            0.2, swelling(count, 0.2, 0.6, rng)
        )
        low = float(rng.uniform(300, 900))
        voices.append(band(partials(pitch, count, rng, 7), low, 2.2 * low) * syllables)
    return np.sum(voices, axis=0) + 0.3 * np.std(voices) * coloured(0.5)(count, rng) / 10


def _birds(count: int, rng: np.random.Generator) -> np.ndarray:
    sung = np.zeros(count)
    for _ in range(int(rng.integers(1, 4))):
        size = int(rng.uniform(0.05, 0.2) * SAMPLING_RATE)
        sweep = rng.uniform(2500, 5500) * 2 ** (
            rng.uniform(-0.5, 0.5) * np.sin(np.pi * np.arange(size) / size * rng.integers(1, 5))
        )
        chirp = np.sin(2 * np.pi * np.cumsum(sweep) / SAMPLING_RATE) * np.hanning(size)
        starts = _beats(count, float(rng.uniform(0.2, 0.9)), rng, 0.2)
        sung += place(count, chirp, starts, _pick(rng, 0.2, 1.0, len(starts)))
    return sung + 0.01 * rng.standard_normal(count)


SCENES: dict[str, Maker] = {
    "music": _music,
    "drums": _drums,
    "fan": _fan,
    "drill": _drill,
    "washing machine": _washing_machine,
    "telephone ringing": _telephone,
    "alarm": _alarm,
    "bell": _bell,
    "rain": _rain,
    "footsteps": _steps,
    "knocking": _knocking,
    "cough": _cough,
    "crowd": _crowd,
    "birds": _birds,
}
"""Name of a sound → what makes it."""
