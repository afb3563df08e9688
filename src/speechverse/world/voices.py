"""Who speaks in the spoken world: speakers, kept apart by part (train, dev, test).

A speaker is one of espeak-ng's voice variants with a vocal-tract scale of its own; every speaker speaks every accent.
Variants that sound nearly alike (edward, edward2) are in the same part. Left out: whispers, robots, creaks, effects.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from speechverse.errors import UserError, unknown_name
from speechverse.seeding import rng_for
from speechverse.world.accents import language_of

if TYPE_CHECKING:  # the worker starts without the language
    from speechverse.world.language.sentence import Part

_PITCHES: dict[Part, str] = {
    "train": "ian 78 m8 79 paul 80 mike2 83 Mike 83 m4 86 m1 88 marcelo 89 robert 89 Gene 90 sandro 92 Andy 92 "
    "iven4 93 iven2 93 iven3 93 kaukovalta 93 rob 94 RicishayMax 95 RicishayMax2 95 RicishayMax3 95 "
    "edward 95 edward2 95 klatt3 95 klatt4 95 klatt5 95 klatt6 95 adam 95 m6 95 max 95 john 95 "
    "norbert 96 m2 96 pedro 96 michel 98 Mario 98 gustave 99 Henrique 99 Michael 99 antonio 102 Alex 102 "
    "miguel 103 Gene2 110 Marco 124 Nguyen 136 shelby 160 f1 168 f4 170 steph 179 f3 193 Andrea 232 "
    "Alicia 232 anika 253 zac 324",
    "dev": "travis 95 m5 95 boris 95 Reed 107 f5 193 belinda 220",
    "test": "david 70 quincy 82 victor 90 Lee 92 m7 98 m3 98 pablo 104 grandma 180 f2 182 Annie 212 linda 220",
}
"""Part → its variants, each with the pitch, in Hz, at which it speaks when nothing is asked."""

CROWD = ("announcer", "benjamin", "caleb", "Denis", "ed", "grandpa", "Jacky", "steph2", "steph3")
"""Variants that are nobody's: they chatter in the background, in all parts."""

CHATTER = tuple(
    "and then well yes but maybe about never people always something other before around under water number because "
    "through again little after such where much going mother house again could would".split()
)
"""What they say."""

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
        """Whether the two are told apart at once: another variant, and a far higher pitch or another size of body."""
        if self.variant == other.variant:
            return False
        return _far(self.pitch, other.pitch, _FAR_PITCH) or _far(self.tract, other.tract, _FAR_TRACT)

    def unlikeness(self, other: Speaker) -> float:
        """How far apart the two sound, in octaves of pitch or what is heard as much."""
        octaves = abs(math.log2(self.pitch / other.pitch)) + abs(math.log2(self.tract / other.tract))
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
    words = _PITCHES[part].split()
    return tuple(
        Speaker(variant + ending, variant, tract, tract * float(pitch), _brightness(variant + ending))
        for variant, pitch in zip(words[::2], words[1::2], strict=True)
        for ending, tract in _TRACTS.items()
    )


def get_speaker(name: str) -> Speaker:
    """The speaker of that name, of whatever part.

    Raises:
        UserError: No such speaker.
    """
    known = {speaker.name: speaker for part in _PITCHES for speaker in speakers(part)}
    if name not in known:
        raise UserError(unknown_name("voice", name, known))
    return known[name]
