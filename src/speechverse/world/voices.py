"""Who speaks in the spoken world: speakers, kept apart by part (train, dev, test).

A speaker is one of espeak-ng's voice variants with a vocal-tract scale of its own; every speaker
speaks every accent. Variants that sound nearly alike (edward, edward2) are in the same part. Left
out: whispers, robots, creaks, effects.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import yaml

from speechverse.errors import UserError, unknown_name
from speechverse.seeding import rng_for
from speechverse.world.accents import language_of

if TYPE_CHECKING:  # the worker starts without the language
    from speechverse.world.language.sentence import Part

TABLE = yaml.safe_load(files(__package__).joinpath("voices.yaml").read_text(encoding="utf-8"))
"""Every voice of every engine, by part."""

CROWD, CHATTER = tuple(TABLE["crowd"]), tuple(TABLE["chatter"].split())
"""Variants that are nobody's, heard in the background of all parts, and what they say."""

_TRACTS = {"": 1.0, "-low": 0.86, "-high": 1.17}
"""Ending of a speaker's name → scale of pitch and formants."""

_FAR_PITCH, _FAR_TRACT = 1.9, 1.3
_BRIGHTNESS = 3.5  # dB an octave, the most


@dataclass(frozen=True, slots=True)
class Speaker:
    """One voice of the spoken world."""

    name: str  # of the speaker, such as "f3-low"
    variant: str  # espeak-ng's variant
    tract: float  # scale of pitch and formants
    pitch: float  # at which the speaker speaks when nothing is asked, in Hz
    brightness: float  # tilt of the spectrum, in dB an octave

    def differs_from(self, other: Speaker) -> bool:
        """Whether the two are told apart at once: another variant, and a far higher pitch or
        another size of body.
        """
        if self.variant == other.variant:
            return False
        return _far(self.pitch, other.pitch, _FAR_PITCH) or _far(
            self.tract, other.tract, _FAR_TRACT
        )

    def unlikeness(self, other: Speaker) -> float:
        """How far apart the two sound, in octaves of pitch or what is heard as much."""
        octaves = abs(math.log2(self.pitch / other.pitch)) + abs(
            math.log2(self.tract / other.tract)
        )
        return octaves + abs(self.brightness - other.brightness) / (2 * _BRIGHTNESS)

    def voice(self, accent: str, shade: int = 0) -> str:
        """espeak-ng's name for this speaker with a shade of an accent.

        Raises:
            UserError: No such accent.
        """
        return f"{language_of(accent, shade)}+{self.variant}"


def _far(one: float, other: float, ratio: float) -> bool:
    return max(one, other) > ratio * min(one, other)


def _brightness(name: str) -> float:
    return rng_for(0, "brightness", name).uniform(-_BRIGHTNESS, _BRIGHTNESS)


@functools.cache
def speakers(part: Part) -> tuple[Speaker, ...]:
    """Every speaker of a part; no variant is in two parts."""
    return tuple(
        Speaker(variant + ending, variant, tract, tract * pitch, _brightness(variant + ending))
        for variant, pitch in TABLE["espeak"][part].items()
        for ending, tract in _TRACTS.items()
    )


def get_speaker(name: str) -> Speaker:
    """The speaker of that name, of whatever part.

    Raises:
        UserError: No such speaker.
    """
    known = {speaker.name: speaker for part in TABLE["espeak"] for speaker in speakers(part)}
    if name not in known:
        raise UserError(unknown_name("voice", name, known))
    return known[name]
