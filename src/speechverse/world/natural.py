"""Who speaks with the neural engines: voices kept apart by part, as the spoken world's speakers
are.
"""

from __future__ import annotations

import functools
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from speechverse.errors import UserError, unknown_name
from speechverse.world.clip import Turn
from speechverse.world.espeak import Prosody
from speechverse.world.voices import TABLE

if TYPE_CHECKING:
    from speechverse.world.language.sentence import Part

_VOICES, _TRACTS = TABLE["neural"], TABLE["tracts"]

SPEEDS = (0.85, 1.2)
"""Slowest and quickest, against the voice's own speed."""


@dataclass(frozen=True, slots=True)
class NaturalSpeaker:
    """One voice of a neural engine."""

    name: str  # of the voice, such as "af_heart" or, at another pitch, "af_heart-x0.93"
    engine: str  # that speaks it
    voice: str  # the engine's own name for it
    tract: float  # scale of pitch and formants
    accent: str

    @property
    def label(self) -> str:
        """The speaker in a corpus's manifest: it tells which voice was changed, and by how much."""
        return f"{self.engine}-{self.name}"


@functools.cache
def natural_speakers(engine: str, part: Part) -> tuple[NaturalSpeaker, ...]:
    """Every speaker of a part; no voice is in two parts."""
    return tuple(
        NaturalSpeaker(
            voice if tract == 1 else f"{voice}-x{tract:.2f}",
            engine,
            voice,
            tract,
            "british" if voice.startswith("b") else "american",
        )
        for voice in _VOICES[engine][part]
        for tract in _TRACTS[engine][part]
    )


def find_natural(engine: str, name: str) -> NaturalSpeaker:
    """The speaker of that name, of whatever part.

    Raises:
        UserError: The engine has no such voice.
    """
    known = {
        speaker.name: speaker
        for part in _VOICES[engine]
        for speaker in natural_speakers(engine, part)
    }
    if name not in known:
        raise UserError(unknown_name(f"voice of {engine}", name, known))
    return known[name]


def default_speaker(engine: str, accent: str | None) -> NaturalSpeaker:
    """The first speaker, of an accent if one is named.

    Raises:
        UserError: The engine has no voice of that accent.
    """
    known = natural_speakers(engine, "train")
    for speaker in known:
        if accent in (None, speaker.accent):
            return speaker
    raise UserError(
        unknown_name(f"accent of {engine}", str(accent), {speaker.accent for speaker in known})
    )


def draw_natural_turn(text: str, speaker: NaturalSpeaker, rng: random.Random) -> Turn:
    """One way in which a speaker says a text: the speed alone differs."""
    slowest, quickest = (math.log(speed) for speed in SPEEDS)
    rate = Prosody().rate * math.exp(rng.uniform(slowest, quickest))
    return Turn(text, f"{speaker.engine}/{speaker.voice}", speaker.tract, Prosody(rate=round(rate)))
