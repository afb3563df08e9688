"""Sounds that are not speech, from noises to music and birds; some are also laid under speech."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from speechverse.types import SAMPLING_RATE, Seconds
from speechverse.world.signals import (
    Maker,
    bandpass,
    coloured_noise,
    damped_sine,
    harmonics,
    overlap_add,
    seconds_of,
    slow_sine,
)

if TYPE_CHECKING:  # the worker starts without the language
    from speechverse.world.language import Part

_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11, 12), (0, 2, 3, 5, 7, 8, 10, 12)
_PENTATONIC = np.array([0, 2, 4, 7, 9, 12, 14, 16])


def make_sound(name: str, seconds: Seconds, rng: np.random.Generator) -> np.ndarray:
    """One of `SOUNDS`, float32 (T,) at 16 kHz, with a peak of 1; `rng` draws all its traits."""
    samples = SOUNDS[name](round(seconds * SAMPLING_RATE), rng)
    return (samples / max(float(np.abs(samples).max()), 1e-9)).astype(np.float32)


def _normalize(samples: np.ndarray) -> np.ndarray:
    """The same at a level of 1, so that parts can be mixed."""
    return samples / max(float(np.sqrt(np.mean(samples**2))), 1e-9)


def _beats(count: int, every: float, rng: np.random.Generator, jitter: float = 0.0) -> np.ndarray:
    """Samples at which something happens about every so many seconds, from the first period on."""
    number = max(1, int(count / SAMPLING_RATE / every) + 1)
    first = rng.uniform(0, 0.6) * every
    offsets = first + every * np.arange(number) + rng.normal(0, 1, number) * jitter * every
    starts = np.maximum(0, offsets) * SAMPLING_RATE
    return starts[starts < count] if np.any(starts < count) else np.zeros(1)


def _groups(
    count: int,
    gaps: np.ndarray,
    every: tuple[float, float],
    jitter: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Samples at which groups of things happen, `gaps` seconds after each beat."""
    beats = _beats(count, float(rng.uniform(*every)), rng, jitter)
    starts = (beats[:, None] + gaps * SAMPLING_RATE).ravel()
    return starts[starts < count]


def _repeat(
    count: int, piece: np.ndarray, starts: np.ndarray, low: float, rng: np.random.Generator
) -> np.ndarray:
    """A piece at each start, with a gain from `low` to 1."""
    return overlap_add(count, piece, starts, rng.uniform(low, 1.0, len(starts)))


def _burst(noise: np.ndarray, low: float, high: float, decay: Seconds) -> np.ndarray:
    """A band of a noise that dies away."""
    return bandpass(noise, low, high) * np.exp(-seconds_of(len(noise)) / decay)


def _tone(count: int, rng: np.random.Generator) -> np.ndarray:
    return harmonics(float(rng.uniform(150, 1800)), count, rng, number=int(rng.integers(1, 4)))


def _hum(count: int, rng: np.random.Generator) -> np.ndarray:
    frequency = float(rng.choice([50.0, 60.0, 100.0]))
    return harmonics(frequency, count, rng, 8) + 0.03 * rng.standard_normal(count)


def _notes(count: int, rng: np.random.Generator, together: int, seconds: float) -> np.ndarray:
    """Plucked notes of one scale, one after the other, `together` at a time."""
    scale = float(rng.uniform(110, 330)) * 2 ** (_PENTATONIC / 12)
    length = max(1, int(seconds * SAMPLING_RATE))
    time = seconds_of(length)
    fade = np.exp(-time / (seconds * rng.uniform(0.3, 0.9))) * np.minimum(1, time / 0.005)
    pieces = []
    for _ in range(-(-count // length)):
        chosen = rng.choice(scale, together, replace=False)
        chord = [harmonics(float(note), length, rng, 4) for note in chosen]
        pieces.append(fade * np.sum(chord, axis=0))
    return np.concatenate(pieces)[:count]


def _chords(count: int, rng: np.random.Generator) -> np.ndarray:
    return _notes(count, rng, together=3, seconds=float(rng.uniform(0.5, 1.2)))


def _arpeggio(count: int, rng: np.random.Generator) -> np.ndarray:
    return _notes(count, rng, together=1, seconds=float(rng.uniform(0.12, 0.35)))


def _clicks(count: int, rng: np.random.Generator) -> np.ndarray:
    beats = np.zeros(count)
    beats[rng.integers(0, count, max(2, int(count / SAMPLING_RATE * rng.uniform(2, 12))))] = 1.0
    time = seconds_of(800)
    tone = np.sin(2 * np.pi * rng.uniform(500, 3500) * time)
    ring = tone * np.exp(-time / rng.uniform(0.002, 0.01))
    return np.convolve(beats, ring)[:count] + 0.002 * rng.standard_normal(count)


def _engine(count: int, rng: np.random.Generator) -> np.ndarray:
    idle = rng.uniform(25, 70)
    speed = idle * (1 + 0.15 * np.sin(2 * np.pi * rng.uniform(0.1, 0.6) * seconds_of(count)))
    rumble = coloured_noise(1.0)(count, rng)
    return harmonics(speed, count, rng, 12) + 1.5 * rumble / np.abs(rumble).max()


def _wind(count: int, rng: np.random.Generator) -> np.ndarray:
    phase = 2 * np.pi * rng.uniform(0.15, 0.7) * seconds_of(count) + rng.uniform(0, 6)
    gusts = 1 + 0.8 * np.sin(phase)
    return coloured_noise(0.8)(count, rng) * gusts


def _breath(count: int, rng: np.random.Generator) -> np.ndarray:
    rhythm = np.maximum(0, np.sin(2 * np.pi * rng.uniform(0.4, 0.9) * seconds_of(count))) ** 2
    return coloured_noise(0.4)(count, rng) * (rhythm + 0.01)


def _beeps(count: int, rng: np.random.Generator) -> np.ndarray:
    on = np.sin(2 * np.pi * rng.uniform(1, 4) * seconds_of(count)) > rng.uniform(-0.3, 0.5)
    return harmonics(float(rng.uniform(400, 2000)), count, rng, 2) * on


def _siren(count: int, rng: np.random.Generator) -> np.ndarray:
    sweep = np.sin(2 * np.pi * rng.uniform(0.3, 2.0) * seconds_of(count))
    return harmonics(rng.uniform(600, 900) * 2 ** (0.5 * sweep), count, rng, 3)


def _drums(count: int, rng: np.random.Generator) -> np.ndarray:
    beat = float(rng.uniform(0.3, 0.65))
    starts = np.arange(0, count, int(beat / 2 * SAMPLING_RATE))
    kick = damped_sine(float(rng.uniform(50, 80)), 0.08, 0.3)
    snare = _burst(rng.standard_normal(3200), 800, 6000, 0.05)
    hat = _burst(rng.standard_normal(800), 5000, 8000, 0.015)
    fill = rng.random(len(starts)) < 0.2
    return (
        overlap_add(count, kick, starts[::4])
        + overlap_add(count, snare, starts[2::4], 0.6)
        + overlap_add(count, kick, starts[fill], 0.7)
        + overlap_add(count, hat, starts, rng.uniform(0.1, 0.4, len(starts)))
    )


def _melody(count: int, beat: float, root: float, rng: np.random.Generator) -> np.ndarray:
    """A tune that walks up and down a scale, in notes of one or two half beats."""
    scale, degree = _MAJOR if rng.random() < 0.6 else _MINOR, int(rng.integers(8))
    weights = rng.uniform(0.2, 1.0, 5) / np.arange(1, 6)
    notes: list[np.ndarray] = []
    length = 0
    while length < count:
        size = int(beat / 2 * SAMPLING_RATE) * int(rng.integers(1, 3))
        degree = int(np.clip(degree + rng.integers(-2, 3), 0, 7))
        time = seconds_of(size)
        phase = 2 * np.pi * root * 2 ** (scale[degree] / 12) * time
        fade = np.minimum(1, time / 0.02) * np.exp(-time / rng.uniform(0.2, 0.8))
        overtones = [weight * np.sin((k + 1) * phase) for k, weight in enumerate(weights)]
        notes.append(fade * np.sum(overtones, axis=0))
        length += size
    return np.concatenate(notes)[:count]


def _music(count: int, rng: np.random.Generator) -> np.ndarray:
    beat, root = float(rng.uniform(0.3, 0.6)), float(rng.uniform(200, 500))
    parts = [_melody(count, beat, root, rng), 0.7 * _melody(count, 2 * beat, root / 4, rng)]
    if rng.random() < 0.7:
        parts.append(0.8 * _drums(count, rng))
    return np.sum([_normalize(part) for part in parts], axis=0)


def _fan(count: int, rng: np.random.Generator) -> np.ndarray:
    air = bandpass(rng.standard_normal(count), 80, float(rng.uniform(600, 2000)))
    blades = harmonics(float(rng.uniform(40, 120)), count, rng, 6)
    wind = _normalize(air) * (1 + 0.1 * slow_sine(count, 3, 12, rng))
    return wind + rng.uniform(0.1, 0.6) * _normalize(blades)


def _drill(count: int, rng: np.random.Generator) -> np.ndarray:
    load = 1 - 0.25 * np.maximum(0, slow_sine(count, 0.2, 0.8, rng))
    motor = harmonics(rng.uniform(150, 400) * load, count, rng, 14)
    bit = _normalize(bandpass(rng.standard_normal(count), 2000, 7000))
    return _normalize(motor) + 0.5 * bit * load


def _washing_machine(count: int, rng: np.random.Generator) -> np.ndarray:
    drum = 0.5 + 0.5 * np.maximum(0, slow_sine(count, 0.6, 1.2, rng))
    water = bandpass(rng.standard_normal(count), 200, 1500)
    water = water * np.maximum(0.1, slow_sine(count, 0.6, 1.2, rng))
    motor = harmonics(float(rng.uniform(45, 110)), count, rng, 10)
    return _normalize(motor) * drum + 0.8 * _normalize(water)


def _telephone(count: int, rng: np.random.Generator) -> np.ndarray:
    """Two tones that warble, on and off as a telephone rings."""
    low = float(rng.uniform(400, 1200))
    warble = np.where(slow_sine(count, 12, 25, rng) > 0, low, low * rng.uniform(1.15, 1.4))
    return harmonics(warble, count, rng, 4) * (slow_sine(count, 0.3, 0.8, rng) > -0.4)


def _alarm(count: int, rng: np.random.Generator) -> np.ndarray:
    """Quick groups of beeps, as of a clock."""
    tone = harmonics(float(rng.uniform(900, 3000)), count, rng, 3)
    return tone * ((slow_sine(count, 6, 10, rng) > 0) & (slow_sine(count, 0.8, 1.4, rng) > -0.3))


def _bell(count: int, rng: np.random.Generator) -> np.ndarray:
    root = float(rng.uniform(300, 1200))
    tones = [
        damped_sine(root * ratio, rng.uniform(0.2, 0.8), 2.0) / (k + 1)
        for k, ratio in enumerate((1, 2.0, 2.76, 5.4))
    ]
    starts = _beats(count, float(rng.uniform(0.5, 1.5)), rng, 0.05)
    return _repeat(count, np.sum(tones, axis=0), starts, 0.6, rng)


def _rain(count: int, rng: np.random.Generator) -> np.ndarray:
    drop = damped_sine(float(rng.uniform(1500, 5000)), 0.003, 0.02)
    number = int(count / SAMPLING_RATE * rng.uniform(40, 200)) + 1
    drops = overlap_add(count, drop, rng.integers(0, count, number), rng.exponential(1.0, number))
    rush = rng.uniform(0.3, 1.2) * _normalize(bandpass(rng.standard_normal(count), 500, 7000))
    return _normalize(drops) + rush


def _steps(count: int, rng: np.random.Generator) -> np.ndarray:
    sole = _burst(rng.standard_normal(1600), 60, float(rng.uniform(400, 2500)), 0.03)
    starts = _beats(count, float(rng.uniform(0.35, 0.7)), rng, 0.05)
    return _repeat(count, sole, starts, 0.5, rng) + 0.002 * rng.standard_normal(count)


def _knocking(count: int, rng: np.random.Generator) -> np.ndarray:
    wood = damped_sine(float(rng.uniform(120, 500)), 0.02, 0.15)
    wood = wood + 0.5 * damped_sine(float(rng.uniform(600, 1500)), 0.01, 0.15)
    gaps = float(rng.uniform(0.15, 0.3)) * np.arange(rng.integers(2, 6))
    starts = _groups(count, gaps, (1.5, 2.5), 0.1, rng)
    return _repeat(count, wood, starts, 0.5, rng) + 0.001 * rng.standard_normal(count)


def _cough(count: int, rng: np.random.Generator) -> np.ndarray:
    """Bursts of air through a throat, one to three at a time."""
    size = int(rng.uniform(0.15, 0.35) * SAMPLING_RATE)
    throat = bandpass(rng.standard_normal(size), 300, 1200)
    throat = throat + 0.5 * bandpass(rng.standard_normal(size), 1500, 4000)
    time = seconds_of(size)
    burst = throat * np.minimum(1, time / 0.01) * np.exp(-time / rng.uniform(0.05, 0.12))
    gaps = float(rng.uniform(0.3, 0.5)) * np.arange(rng.integers(1, 4))
    starts = _groups(count, gaps, (1.5, 3.0), 0.2, rng)
    return _repeat(count, burst, starts, 0.4, rng) + 0.003 * rng.standard_normal(count)


def _crowd(count: int, rng: np.random.Generator) -> np.ndarray:
    """Many throats and no word: hums whose pitch and vowel wander, each in its own syllables."""
    voices = []
    for _ in range(6):
        pitch = rng.uniform(90, 260) * 2 ** (0.15 * slow_sine(count, 0.3, 1.5, rng))
        syllables = np.maximum(0, slow_sine(count, 2.5, 6, rng))
        syllables = syllables * np.maximum(0.2, slow_sine(count, 0.2, 0.6, rng))
        low = float(rng.uniform(300, 900))
        voices.append(bandpass(harmonics(pitch, count, rng, 7), low, 2.2 * low) * syllables)
    return np.sum(voices, axis=0) + 0.3 * np.std(voices) * coloured_noise(0.5)(count, rng) / 10


def _birds(count: int, rng: np.random.Generator) -> np.ndarray:
    song = np.zeros(count)
    for _ in range(int(rng.integers(1, 4))):
        size = int(rng.uniform(0.05, 0.2) * SAMPLING_RATE)
        base, depth = rng.uniform(2500, 5500), rng.uniform(-0.5, 0.5)
        bend = np.sin(np.pi * np.arange(size) / size * rng.integers(1, 5))
        sweep = base * 2 ** (depth * bend)
        chirp = np.sin(2 * np.pi * np.cumsum(sweep) / SAMPLING_RATE) * np.hanning(size)
        starts = _beats(count, float(rng.uniform(0.2, 0.9)), rng, 0.2)
        song += _repeat(count, chirp, starts, 0.2, rng)
    return song + 0.01 * rng.standard_normal(count)


SOUNDS: dict[str, Maker] = {
    "white noise": coloured_noise(0.0),
    "pink noise": coloured_noise(0.5),
    "brown noise": coloured_noise(1.0),
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
"""Name of a sound → what makes it; the order is part of the frozen test sets."""

HELD_OUT_SOUND = "siren"
"""Only ever in test parts: what is not speech must be told from sounds never heard."""

HELD_OUT_BACKGROUND = "washing machine"
"""Only ever in test parts, alone or under speech."""

BABBLE = "babble"
"""Voices in the background; made by espeak-ng, so never a sound of its own."""

_NOISES = ("white noise", "pink noise", "brown noise", "hum", "engine", "wind", "fan", "rain")
_BACKGROUNDS = (*_NOISES, "crowd", "music", HELD_OUT_BACKGROUND, BABBLE)


def sounds(part: Part) -> tuple[str, ...]:
    """Names of the sounds that a part may have alone."""
    held_out = () if part == "test" else (HELD_OUT_SOUND, HELD_OUT_BACKGROUND)
    return tuple(name for name in SOUNDS if name not in held_out)


def backgrounds(part: Part) -> tuple[str, ...]:
    """Names of the sounds that a part may have under speech."""
    return tuple(name for name in _BACKGROUNDS if part == "test" or name != HELD_OUT_BACKGROUND)
