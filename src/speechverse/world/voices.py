"""Who speaks: the speakers of every engine, kept apart by part (train, dev, test).

A speaker of espeak-ng's is one of its voice variants with a vocal-tract scale of its own, and
speaks every accent. Variants that sound nearly alike (edward, edward2) are in the same part. Left
out: whispers, robots, creaks, effects.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, TypeVar

from speechverse.errors import UserError, unknown_name
from speechverse.seeding import rng_for
from speechverse.world.accents import language_of
from speechverse.world.tables import read_yaml

if TYPE_CHECKING:  # the worker starts without the language
    from speechverse.world.language import Part

_TABLE = read_yaml(files(__package__).joinpath("voices.yaml"))

CROWD, CHATTER = tuple(_TABLE["crowd"]), tuple(_TABLE["chatter"].split())
"""Variants that are nobody's, heard in the background of all parts, and what they say."""

_TRACTS = {"": 1.0, "-low": 0.86, "-high": 1.17}
"""Ending of a speaker's name → scale of pitch and formants."""

_FAR_PITCH, _FAR_TRACT = 1.9, 1.3
_BRIGHTNESS = 3.5  # dB an octave, the most


@dataclass(frozen=True, slots=True)
class Speaker:
    """A speaker of espeak-ng's."""

    name: str  # such as "f3-low"
    variant: str
    tract: float  # scale of pitch and formants
    pitch: float  # at which the speaker speaks when nothing is asked, in Hz
    brightness: float  # tilt of the spectrum, in dB an octave

    def differs_from(self, other: Speaker) -> bool:
        """Whether the two are told apart at once: another variant, far in pitch or body size."""
        is_far = _is_far(self.pitch, other.pitch, _FAR_PITCH)
        return self.variant != other.variant and (
            is_far or _is_far(self.tract, other.tract, _FAR_TRACT)
        )

    def unlikeness(self, other: Speaker) -> float:
        """How far apart the two sound, in octaves of pitch or what is heard as much."""
        pitch = abs(math.log2(self.pitch / other.pitch))
        tract = abs(math.log2(self.tract / other.tract))
        return pitch + tract + abs(self.brightness - other.brightness) / (2 * _BRIGHTNESS)

    def voice(self, accent: str, shade: int = 0) -> str:
        """espeak-ng's name for this speaker with a shade of an accent."""
        return f"{language_of(accent, shade)}+{self.variant}"


@dataclass(frozen=True, slots=True)
class NeuralSpeaker:
    """One voice of a neural engine."""

    name: str  # such as "af_heart" or, at another pitch, "af_heart-x0.93"
    engine: str
    voice: str  # the engine's own name for it
    tract: float  # scale of pitch and formants

    @property
    def accent(self) -> str:
        """As the voice's name has it."""
        return "british" if self.voice.startswith("b") else "american"


def _is_far(one: float, other: float, ratio: float) -> bool:
    return max(one, other) > ratio * min(one, other)


@functools.cache
def speakers(part: Part) -> tuple[Speaker, ...]:
    """Every espeak-ng speaker of a part; no variant is in two parts."""
    return tuple(
        Speaker(variant + ending, variant, tract, tract * pitch, _brightness(variant + ending))
        for variant, pitch in _TABLE["espeak"][part].items()
        for ending, tract in _TRACTS.items()
    )


def _brightness(name: str) -> float:
    return rng_for(0, "brightness", name).uniform(-_BRIGHTNESS, _BRIGHTNESS)


@functools.cache
def neural_speakers(engine: str, part: Part) -> tuple[NeuralSpeaker, ...]:
    """Every speaker of a neural engine and a part; no voice is in two parts."""
    return tuple(
        NeuralSpeaker(voice if tract == 1 else f"{voice}-x{tract:.2f}", engine, voice, tract)
        for voice in _TABLE["neural"][engine][part]
        for tract in _TABLE["tracts"][engine][part]
    )


AnySpeaker = TypeVar("AnySpeaker", Speaker, NeuralSpeaker)


def get_speaker(name: str) -> Speaker:
    """The espeak-ng speaker of that name, of whatever part; UserError where there is none."""
    return _find("voice", name, (s for part in _TABLE["espeak"] for s in speakers(part)))


def get_neural_speaker(engine: str, name: str) -> NeuralSpeaker:
    """A neural engine's speaker of that name, of whatever part; UserError where there is none."""
    parts = _TABLE["neural"][engine]
    every = (speaker for part in parts for speaker in neural_speakers(engine, part))
    return _find(f"voice of {engine}", name, every)


def _find(kind: str, name: str, every: Iterable[AnySpeaker]) -> AnySpeaker:
    known = {speaker.name: speaker for speaker in every}
    if name not in known:
        raise UserError(unknown_name(kind, name, known))
    return known[name]
