"""From a clip's plan to its samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speechverse.audio.augment import add_noise, add_room, at_level, convolve, tilt_spectrum
from speechverse.audio.codecs import clip_peaks, through_codec, through_telephone
from speechverse.audio.resampling import resample
from speechverse.audio.waveform import trim_silence
from speechverse.types import SAMPLING_RATE, Seconds
from speechverse.world.accents import ACCENTS, language_of
from speechverse.world.clip import Channel, Clip, Manner, Prosody, Turn
from speechverse.world.engines import ESPEAK, Engines
from speechverse.world.sounds import BABBLE, make_sound
from speechverse.world.tones import swelling
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
    """Makes a clip: float32 (T,) at 16 kHz, within full scale.

    Raises:
        SpeechverseError: An engine refused.
    """
    rng = np.random.default_rng(clip.seed)
    if clip.sound:
        samples = make_sound(clip.sound, clip.seconds, rng)
    else:
        samples = join([_speak(turn, engines, rng) for turn in clip.turns], clip.pauses)
    return _record(samples, clip.channel, engines, rng)


def join(turns: Sequence[np.ndarray], pauses: Sequence[Seconds]) -> np.ndarray:
    """Puts turns one after the other with a pause between, or over each other where the pause is
    negative.
    """
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
    prosody = turn.prosody
    slowed = type(prosody)(
        round(prosody.rate / turn.tract),
        prosody.pitch,
        prosody.pitch_range,
        round(prosody.word_gap * turn.tract),
    )
    spoken = trim_silence(engine.say(turn.text, voice, slowed), engine.sampling_rate)
    samples = resample(spoken, engine.sampling_rate * turn.tract)
    return at_level(_in_manner(samples, turn.manner, rng), _TURN_LEVEL + turn.level)


def _in_manner(samples: np.ndarray, manner: Manner, rng: np.random.Generator) -> np.ndarray:
    if manner.dynamics:
        envelope = convolve(np.abs(samples), np.full(_ENVELOPE, 1.0 / _ENVELOPE)) + 1e-3
        samples = samples * (envelope / envelope.mean()) ** manner.dynamics
    if manner.roughness:
        samples = samples * (
            1 - manner.roughness * (0.5 + 0.5 * swelling(len(samples), *_TREMBLE, rng))
        )
    if manner.lilt:
        samples = _lilting(samples, manner.lilt, swelling(len(samples), *_LILT, rng))
    if manner.breath:
        samples = samples + manner.breath * _air(samples, rng)
    return tilt_spectrum(samples.astype(np.float32), manner.effort) if manner.effort else samples


def _lilting(samples: np.ndarray, depth: float, swing: np.ndarray) -> np.ndarray:
    positions = np.arange(len(samples)) + _LILT_REACH * depth * swing
    return np.interp(positions, np.arange(len(samples)), samples) * (
        1 - _LILT_LOUDNESS * depth * (0.5 + 0.5 * swing)
    )


def _air(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise that follows the voice's loudness; bright, as air is."""
    noise = np.diff(rng.standard_normal(len(samples) + 1))
    envelope = np.sqrt(
        np.maximum(convolve(samples**2, np.full(_ENVELOPE // 5, 5.0 / _ENVELOPE)), 0)
    )
    return envelope * noise * 0.5


def _record(
    samples: np.ndarray, channel: Channel, engines: Engines, rng: np.random.Generator
) -> np.ndarray:
    padded = np.pad(
        samples, (round(channel.lead * SAMPLING_RATE), round(channel.tail * SAMPLING_RATE))
    )
    if channel.tilt:
        padded = tilt_spectrum(padded, channel.tilt)
    if channel.reverberation:
        padded = add_room(padded, rng, channel.reverberation, mix=float(rng.uniform(0.1, 0.5)))
    if channel.noise:
        noise = _noise(channel.noise, len(padded) / SAMPLING_RATE, engines, rng)
        padded = add_noise(padded, noise, channel.snr)
    return at_level(_transmit(padded, channel), channel.level)


def _noise(name: str, seconds: Seconds, engines: Engines, rng: np.random.Generator) -> np.ndarray:
    if name != BABBLE:
        return make_sound(name, seconds, rng)
    voices = [_chatter(engines, rng, seconds) for _ in range(_CHATTERERS)]
    return np.sum([at_level(voice, _TURN_LEVEL + rng.uniform(-4, 4)) for voice in voices], axis=0)


def _chatter(engines: Engines, rng: np.random.Generator, seconds: Seconds) -> np.ndarray:
    """Someone in the background, who talks from before the clip to after its end."""
    words = " ".join(rng.choice(CHATTER, max(3, round(seconds * _CHATTER_RATE))))
    prosody = Prosody(
        int(rng.integers(150, 190)), int(rng.integers(35, 65)), int(rng.integers(30, 70)), 0
    )
    voice = f"{language_of(str(rng.choice(list(ACCENTS))), 0)}+{rng.choice(CROWD)}"
    espeak = engines.load(ESPEAK)
    spoken = resample(espeak.say(words, voice, prosody), espeak.sampling_rate)
    return np.roll(
        np.resize(spoken, round(seconds * SAMPLING_RATE)), int(rng.integers(SAMPLING_RATE))
    )


def _transmit(samples: np.ndarray, channel: Channel) -> np.ndarray:
    if channel.clipping:
        samples = clip_peaks(samples, channel.clipping)
    if channel.telephone:
        samples = through_telephone(samples)
    return (
        through_codec(at_level(samples, channel.level), channel.codec) if channel.codec else samples
    )
