"""From a clip's plan to its samples. The order of the draws is part of the frozen test sets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from speechverse.audio.resampling import resample
from speechverse.audio.waveform import trim_silence
from speechverse.types import SAMPLING_RATE, Seconds
from speechverse.world.accents import ACCENTS, language_of
from speechverse.world.clip import Channel, Clip, Manner, Prosody, Turn
from speechverse.world.effects import (
    add_noise,
    add_room,
    apply_codec,
    clip_peaks,
    convolve,
    limit_to_telephone_band,
    set_level,
    tilt_spectrum,
)
from speechverse.world.engines import ESPEAK, Engines
from speechverse.world.signals import slow_sine
from speechverse.world.sounds import BABBLE, make_sound
from speechverse.world.voices import CHATTER, CROWD

_TURN_LEVEL = -24.0  # dB below full scale
_TREMBLE = (16.0, 24.0)  # Hz
_LILT = (8.5, 11.5)  # Hz: quicker than syllables
_LILT_REACH = 10.0  # samples that a whole lilt moves the sound to and fro: about 4 % of pitch
_LILT_LOUDNESS = 0.9
_CHATTERERS = 5
_CHATTER_RATE = 3.0  # words a second, more than are spoken
_ENVELOPE = 1600  # samples, 0.1 s


def render(clip: Clip, engines: Engines) -> np.ndarray:
    """Makes a clip: float32 (T,) at 16 kHz, within full scale."""
    rng = np.random.default_rng(clip.seed)
    if clip.sound:
        samples = make_sound(clip.sound, clip.seconds, rng)
    else:
        samples = join([_speak(turn, engines, rng) for turn in clip.turns], clip.pauses)
    return _record(samples, clip.channel, engines, rng)


def join(turns: Sequence[np.ndarray], pauses: Sequence[Seconds]) -> np.ndarray:
    """Puts turns one after the other, or over each other where the pause between is negative."""
    whole = turns[0]
    for turn, pause in zip(turns[1:], pauses, strict=True):
        begin = max(0, len(whole) + round(pause * SAMPLING_RATE))
        joined = np.zeros(max(len(whole), begin + len(turn)), dtype=np.float32)
        joined[: len(whole)] += whole
        joined[begin : begin + len(turn)] += turn
        whole = joined
    return whole


def _speak(turn: Turn, engines: Engines, rng: np.random.Generator) -> np.ndarray:
    # A larger tract factor plays faster: speaking that much slower first keeps the rate as asked.
    engine, voice = engines.find(turn.voice)
    slowed = dataclasses.replace(
        turn.prosody,
        rate=round(turn.prosody.rate / turn.tract),
        word_gap=round(turn.prosody.word_gap * turn.tract),
    )
    spoken = trim_silence(engine.say(turn.text, voice, slowed), engine.sampling_rate)
    samples = resample(spoken, engine.sampling_rate * turn.tract)
    return set_level(_apply_manner(samples, turn.manner, rng), _TURN_LEVEL + turn.level)


def _apply_manner(samples: np.ndarray, manner: Manner, rng: np.random.Generator) -> np.ndarray:
    if manner.dynamics:
        envelope = convolve(np.abs(samples), np.full(_ENVELOPE, 1.0 / _ENVELOPE)) + 1e-3
        samples = samples * (envelope / envelope.mean()) ** manner.dynamics
    if manner.roughness:
        tremble = 0.5 + 0.5 * slow_sine(len(samples), *_TREMBLE, rng)
        samples = samples * (1 - manner.roughness * tremble)
    if manner.lilt:
        samples = _add_lilt(samples, manner.lilt, slow_sine(len(samples), *_LILT, rng))
    if manner.breath:
        samples = samples + manner.breath * _breath(samples, rng)
    return tilt_spectrum(samples.astype(np.float32), manner.effort) if manner.effort else samples


def _add_lilt(samples: np.ndarray, depth: float, swing: np.ndarray) -> np.ndarray:
    times = np.arange(len(samples))
    moved = np.interp(times + _LILT_REACH * depth * swing, times, samples)
    return moved * (1 - _LILT_LOUDNESS * depth * (0.5 + 0.5 * swing))


def _breath(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise that follows the voice's loudness; bright, as air is."""
    noise = np.diff(rng.standard_normal(len(samples) + 1))
    power = convolve(samples**2, np.full(_ENVELOPE // 5, 5.0 / _ENVELOPE))
    return np.sqrt(np.maximum(power, 0)) * noise * 0.5


def _record(
    samples: np.ndarray, channel: Channel, engines: Engines, rng: np.random.Generator
) -> np.ndarray:
    silence = round(channel.lead * SAMPLING_RATE), round(channel.tail * SAMPLING_RATE)
    samples = np.pad(samples, silence)
    if channel.tilt:
        samples = tilt_spectrum(samples, channel.tilt)
    if channel.reverberation:
        samples = add_room(samples, rng, channel.reverberation, mix=float(rng.uniform(0.1, 0.5)))
    if channel.noise:
        noise = _noise(channel.noise, len(samples) / SAMPLING_RATE, engines, rng)
        samples = add_noise(samples, noise, channel.snr)
    if channel.clipping:
        samples = clip_peaks(samples, channel.clipping)
    if channel.telephone:
        samples = limit_to_telephone_band(samples)
    if channel.codec:
        samples = apply_codec(set_level(samples, channel.level), channel.codec)
    return set_level(samples, channel.level)


def _noise(name: str, seconds: Seconds, engines: Engines, rng: np.random.Generator) -> np.ndarray:
    if name != BABBLE:
        return make_sound(name, seconds, rng)
    voices = [_chatter(engines, rng, seconds) for _ in range(_CHATTERERS)]
    return np.sum([set_level(voice, _TURN_LEVEL + rng.uniform(-4, 4)) for voice in voices], axis=0)


def _chatter(engines: Engines, rng: np.random.Generator, seconds: Seconds) -> np.ndarray:
    """Someone in the background, who talks from before the clip to after its end."""
    words = " ".join(rng.choice(CHATTER, max(3, round(seconds * _CHATTER_RATE))))
    rate, pitch, pitch_range = (
        int(rng.integers(low, high)) for low, high in ((150, 190), (35, 65), (30, 70))
    )
    voice = f"{language_of(str(rng.choice(list(ACCENTS))), 0)}+{rng.choice(CROWD)}"
    espeak = engines.load(ESPEAK)
    spoken = espeak.say(words, voice, Prosody(rate, pitch, pitch_range))
    looped = np.resize(resample(spoken, espeak.sampling_rate), round(seconds * SAMPLING_RATE))
    return np.roll(looped, int(rng.integers(SAMPLING_RATE)))
