"""Who speaks in the spoken world: accents, and speakers kept apart by part (train, dev, test).

A speaker is one of espeak-ng's voice variants with a vocal-tract scale of its own; every speaker speaks every accent.
Variants that sound nearly alike (edward, edward2) are in the same part. Left out: whispers, robots, creaks, effects.
"""

from __future__ import annotations

from dataclasses import dataclass

from speechverse.errors import UserError, unknown_name
from speechverse.synth.language.sentence import Part

ACCENTS = {
    "american": "General American English",
    "british": "Southern British English",
    "scottish": "Scottish English",
    "caribbean": "Caribbean English",
    "received": "Received Pronunciation, old-fashioned British English",
}
"""Accent → description."""

_LANGUAGES = {
    "american": "en-us",
    "british": "en",  # espeak-ng refuses the name en-gb
    "scottish": "en-gb-scotland",
    "caribbean": "en-029",
    "received": "en-gb-x-rp",
}

_VARIANTS: dict[Part, tuple[str, ...]] = {
    "train": tuple(
        "f1 f3 f4 Alicia Andrea anika steph shelby zac m1 m2 m4 m6 m8 Alex Andy Gene Gene2 Henrique "
        "Marco Mario Michael Mike Nguyen RicishayMax RicishayMax2 RicishayMax3 adam antonio edward "
        "edward2 gustave ian iven2 iven3 iven4 john kaukovalta klatt3 klatt4 klatt5 klatt6 marcelo max "
        "michel miguel mike2 norbert paul pedro rob robert sandro".split()
    ),
    "dev": tuple("f5 belinda aunty m5 Hugo boris travis Reed".split()),
    "test": tuple("f2 linda Annie grandma m3 m7 Diogo david pablo quincy victor Lee".split()),
}
_HIGH = frozenset("f1 f2 f3 f4 f5 Alicia Andrea Annie anika aunty belinda grandma linda shelby steph zac".split())
_TRACTS = {"": 1.0, "-low": 0.9, "-high": 1.12}
"""Ending of a speaker's name → scale of pitch and formants."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """One voice of the spoken world.

    Attributes:
        name: Of the speaker, such as "f3-low".
        variant: espeak-ng's variant.
        tract: Scale of pitch and formants.
    """

    name: str
    variant: str
    tract: float

    def differs_from(self, other: Speaker) -> bool:
        """Whether the two are told apart at once: one of espeak-ng's high voices and a low one, or far other tracts."""
        if self.variant == other.variant:
            return False
        ratio = self.tract / other.tract
        return (self.variant in _HIGH) != (other.variant in _HIGH) or not 1 / 1.2 < ratio < 1.2

    def voice(self, accent: str) -> str:
        """espeak-ng's name for this speaker with an accent.

        Raises:
            UserError: No such accent.
        """
        if accent not in _LANGUAGES:
            raise UserError(unknown_name("accent", accent, _LANGUAGES))
        return f"{_LANGUAGES[accent]}+{self.variant}"


def speakers(part: Part) -> tuple[Speaker, ...]:
    """Every speaker of a part; no variant is in two parts."""
    return tuple(
        Speaker(variant + ending, variant, tract) for variant in _VARIANTS[part] for ending, tract in _TRACTS.items()
    )


def get_speaker(name: str) -> Speaker:
    """The speaker of that name, of whatever part.

    Raises:
        UserError: No such speaker.
    """
    known = {speaker.name: speaker for part in _VARIANTS for speaker in speakers(part)}
    if name not in known:
        raise UserError(unknown_name("voice", name, known))
    return known[name]
