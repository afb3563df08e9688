"""From a clip's plan to its samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechverse.audio.augment import add_noise, add_room, at_level, convolve, tilt_spectrum
from speechverse.audio.decode import resample
from speechverse.audio.waveform import trim_silence
from speechverse.synth.clip import Channel, Clip, Manner, Turn
from speechverse.synth.espeak import Espeak
from speechverse.synth.sounds import make_sound
from speechverse.types import SAMPLING_RATE, Seconds

_TURN_LEVEL = -24.0  # dB below full scale
_TREMBLE = (16.0, 24.0)  # Hz
_ENVELOPE = 1600  # samples, 0.1 s


def render(clip: Clip, espeak: Espeak) -> np.ndarray:
    """Makes a clip.

    Returns:
        float32 (T,) at 16 kHz, within full scale.

    Raises:
        SpeechverseError: espeak-ng refused.
    """
    rng = np.random.default_rng(clip.seed)
    if clip.sound:
        samples = make_sound(clip.sound, clip.seconds, rng)
    else:
        samples = join([_speak(turn, espeak, rng) for turn in clip.turns], clip.pauses)
    return _record(samples, clip.channel, rng)


def join(turns: Sequence[np.ndarray], pauses: Sequence[Seconds]) -> np.ndarray:
    """Puts turns one after the other with a pause between, or over each other where the pause is negative."""
    whole = turns[0]
    for turn, pause in zip(turns[1:], pauses, strict=True):
        begin = max(0, len(whole) + round(pause * SAMPLING_RATE))
        joined = np.zeros(max(len(whole), begin + len(turn)), dtype=np.float32)
        joined[: len(whole)] += whole
        joined[begin : begin + len(turn)] += turn
        whole = joined
    return whole


def _speak(turn: Turn, espeak: Espeak, rng: np.random.Generator) -> np.ndarray:
    # A larger tract factor plays faster: speaking that much slower first keeps the rate as asked.
    prosody = turn.prosody
    slowed = type(prosody)(
        round(prosody.rate / turn.tract), prosody.pitch, prosody.pitch_range, round(prosody.word_gap * turn.tract)
    )
    spoken = trim_silence(espeak.say(turn.text, turn.voice, slowed), espeak.sampling_rate)
    samples = resample(spoken, espeak.sampling_rate * turn.tract)
    return at_level(_in_manner(samples, turn.manner, rng), _TURN_LEVEL + turn.level)


def _in_manner(samples: np.ndarray, manner: Manner, rng: np.random.Generator) -> np.ndarray:
    if manner.dynamics:
        envelope = convolve(np.abs(samples), np.full(_ENVELOPE, 1.0 / _ENVELOPE)) + 1e-3
        samples = samples * (envelope / envelope.mean()) ** manner.dynamics
    if manner.roughness:
        time = np.arange(len(samples)) / SAMPLING_RATE
        tremble = np.sin(2 * np.pi * rng.uniform(*_TREMBLE) * time + rng.uniform(0, 2 * np.pi))
        samples = samples * (1 - manner.roughness * (0.5 + 0.5 * tremble))
    return tilt_spectrum(samples.astype(np.float32), manner.effort) if manner.effort else samples


def _record(samples: np.ndarray, channel: Channel, rng: np.random.Generator) -> np.ndarray:
    padded = np.pad(samples, (round(channel.lead * SAMPLING_RATE), round(channel.tail * SAMPLING_RATE)))
    if channel.tilt:
        padded = tilt_spectrum(padded, channel.tilt)
    if channel.reverberation:
        padded = add_room(padded, rng, channel.reverberation, mix=float(rng.uniform(0.1, 0.5)))
    if channel.noise:
        padded = add_noise(padded, make_sound(channel.noise, len(padded) / SAMPLING_RATE, rng), channel.snr)
    return at_level(padded, channel.level)
