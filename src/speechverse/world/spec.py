"""What a made corpus should be: sizes, seed and shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from speechverse.errors import UserError
from speechverse.world.language import HELD_OUT_STRATA, Part, check_stratum

_STRATA = {"grammar": 0.7, "free": 0.1, "names": 0.08, "numbers": 0.06, "random": 0.06}


@dataclass(frozen=True, slots=True)
class SynthSpec:
    """A corpus of the spoken world; the same spec gives the same bytes."""

    name: str = "world"
    num_train: int = 3000
    num_dev: int = 300
    num_test: int = 0
    seed: int = 1
    # Stratum of sentences → weight, for clips of one sentence. Held-out ones are for "test" alone.
    strata: Mapping[str, float] = field(default_factory=lambda: dict(_STRATA))
    two_speaker_share: float = 0.12  # of all clips, those where one speaker follows another
    # Of all clips, those where one speaker says two things: pauses must not tell who speaks.
    one_speaker_turns_share: float = 0.08
    non_speech_share: float = 0.06  # of all clips, those without speech
    noisy_share: float = 0.25  # of the speech clips, those with noise underneath
    snr_db: tuple[float, float] = (5, 25)  # lowest and highest ratio of speech to that noise, in dB
    room_share: float = 0.25  # of the speech clips, those in a room
    clipping_share: float = 0.04  # of the speech clips, those that an overdriven microphone took
    telephone_share: float = 0.06  # of the speech clips, those left with the telephone band
    codec_share: float = 0.12  # of the speech clips, those that went through a codec at a low rate

    def __post_init__(self) -> None:
        """Raises UserError for a number, share or stratum that cannot be."""
        if min(self.num_train, self.num_dev, self.num_test) < 0 or not any(self.sizes.values()):
            raise UserError(
                "a corpus needs at least one clip, and no split fewer than 0; asked for"
                f" {self.sizes}"
            )
        for name, value in self.as_dict().items():
            if name.endswith("_share") and not 0 <= value <= 1:
                raise UserError(f"{name} is a share from 0 to 1, not {value}")
        if self.snr_db[0] > self.snr_db[1]:
            raise UserError(f"snr_db is the lowest and the highest ratio in dB, not {self.snr_db}")
        if self.two_speaker_share + self.one_speaker_turns_share + self.non_speech_share > 1:
            raise UserError(
                "the shares of two speakers, of one speaker's turns and of non-speech are over 1"
                " together"
            )
        for stratum in self.strata:
            for part in [part for part, size in self.sizes.items() if size]:
                check_stratum(stratum, part)
        if min(self.strata.values(), default=0) < 0 or not any(self.strata.values()):
            raise UserError(
                "the weights of the strata are 0 or more; give at least one a weight above 0"
            )

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
