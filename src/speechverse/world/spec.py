"""What a made corpus should be: sizes, seed and shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from speechverse.errors import UserError
from speechverse.world.language import HELD_OUT_STRATA, check_stratum
from speechverse.world.language.sentence import Part

_STRATA = {"grammar": 0.7, "free": 0.1, "names": 0.08, "numbers": 0.06, "random": 0.06}
_KINDS = ("two_speaker_share", "one_speaker_turns_share", "non_speech_share")
_CHANNELS = ("noisy_share", "room_share", "clipping_share", "telephone_share", "codec_share")


@dataclass(frozen=True, slots=True)
class SynthSpec:
    """A corpus of the spoken world; the same spec gives the same bytes."""

    name: str = "world"
    num_train: int = 3000
    num_dev: int = 300
    num_test: int = 0
    seed: int = 1
    # Stratum of sentences → weight, for clips of one sentence. Held-out strata are for "test"
    # alone.
    strata: Mapping[str, float] = field(default_factory=lambda: dict(_STRATA))
    two_speaker_share: float = 0.12  # of all clips, those where one speaker follows another
    # Of all clips, those where one speaker says two things: pauses must not tell who speaks.
    one_speaker_turns_share: float = 0.08
    non_speech_share: float = 0.06  # of all clips, those without speech
    noisy_share: float = 0.25  # of the speech clips, those with noise underneath
    snr_db: tuple[float, float] = (5, 25)  # lowest and highest ratio of speech to that noise, in dB
    room_share: float = 0.25  # of the speech clips, those in a room
    clipping_share: float = 0.04  # of the speech clips, those that an overdriven microphone took
    # Of the speech clips, those of which only the telephone band is left.
    telephone_share: float = 0.06
    codec_share: float = 0.12  # of the speech clips, those that went through a codec at a low rate

    def __post_init__(self) -> None:
        """Checks what was asked for.

        Raises:
            UserError: A number, share or stratum that cannot be.
        """
        if min(self.num_train, self.num_dev, self.num_test) < 0 or not any(self.sizes.values()):
            raise UserError(
                "a corpus needs at least one clip, and no split fewer than 0; asked for"
                f" {self.sizes}"
            )
        for share in (*_KINDS, *_CHANNELS):
            if not 0 <= getattr(self, share) <= 1:
                raise UserError(f"{share} is a share from 0 to 1, not {getattr(self, share)}")
        if self.snr_db[0] > self.snr_db[1]:
            raise UserError(f"snr_db is the lowest and the highest ratio in dB, not {self.snr_db}")
        if self.two_speaker_share + self.one_speaker_turns_share + self.non_speech_share > 1:
            raise UserError(
                "the shares of two speakers, of one speaker's turns and of non-speech are over 1"
                " together"
            )
        for stratum, weight in self.strata.items():
            for part, size in self.sizes.items():
                if size:
                    check_stratum(stratum, part)
            if weight < 0:
                raise UserError(
                    f"the weight of stratum '{stratum}' is {weight}; weights are 0 or more"
                )
        if sum(self.strata.values()) <= 0:
            raise UserError("every stratum has weight 0: give at least one a weight above 0")

    @property
    def sizes(self) -> dict[Part, int]:
        """Split → number of clips."""
        return {"train": self.num_train, "dev": self.num_dev, "test": self.num_test}

    @property
    def is_held_out(self) -> bool:
        """Whether it draws sentences of held-out strata, which bring labels of their own."""
        return any(self.strata.get(stratum, 0) > 0 for stratum in HELD_OUT_STRATA)

    def as_dict(self) -> dict[str, Any]:
        """All fields, ready for JSON."""
        return dataclasses.asdict(self)
