"""A clip before it is made: all that decides how it will sound, sent to a worker as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from speechverse.types import Seconds


@dataclass(frozen=True, slots=True)
class Prosody:
    """How a sentence is spoken, in espeak-ng's own units."""

    rate: int = 170  # words a minute, 80 to 450
    pitch: int = 50  # base pitch, 0 to 99 (50 is the voice's own)
    pitch_range: int = 50  # liveliness of the melody, 0 to 99 (50 is the voice's own)
    word_gap: int = 0  # extra silence between words, in steps of 10 ms


@dataclass(frozen=True, slots=True)
class Manner:
    """What a style does to the voice beyond espeak-ng's own settings; all 0 is the plain voice."""

    roughness: float = 0.0  # depth of a fast tremble, 0 to 1
    dynamics: float = 0.0  # above 0 loud sounds stand out more, below 0 all are more alike
    effort: float = 0.0  # spectral tilt in dB an octave: a pressed voice is brighter, a weak duller
    lilt: float = 0.0  # depth of a slow swing of pitch and loudness, as before laughter, 0 to 1
    breath: float = 0.0  # air in the voice against its sound, 0 to 1


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says in one go."""

    text: str
    voice: str
    tract: float = 1.0  # scale of pitch and formants
    prosody: Prosody = field(default_factory=Prosody)
    manner: Manner = field(default_factory=Manner)
    level: float = 0.0  # louder or softer than the clip, in dB


@dataclass(frozen=True, slots=True)
class Channel:
    """What happens between the speaker's mouth and the file."""

    level: float = -24.0  # dB below full scale, of the sounding parts
    tilt: float = 0.0  # dB an octave
    reverberation: Seconds = 0.0  # T60 of the room; 0 is none
    noise: str = ""  # name of the sound underneath; "" is none
    snr: float = 0.0  # of speech to noise, in dB
    clipping: float = 0.0  # share of the sounding samples that an overdriven microphone cuts
    telephone: bool = False  # whether only the telephone band is left
    codec: str = ""  # name of what compressed it; "" is nothing
    lead: Seconds = 0.1  # silence before
    tail: Seconds = 0.1  # silence after

    @property
    def labels(self) -> dict[str, Any]:
        """What was done to the sound, by label fields; nothing where nothing was."""
        noise = {"noise": self.noise, "snr_db": round(self.snr, 1)} if self.noise else {}
        others = {
            "room_t60": round(self.reverberation, 2),
            "clipping": round(self.clipping, 4),
            "telephone": self.telephone,
            "codec": self.codec,
        }
        return {**noise, **{label: value for label, value in others.items() if value}}


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip to be made: turns, or a sound that is not speech."""

    id: str
    turns: tuple[Turn, ...] = ()  # who says what; () for a sound
    pauses: tuple[Seconds, ...] = ()  # between turns, one fewer than turns; negative is an overlap
    sound: str = ""  # name of the sound; "" for speech
    seconds: Seconds = 0.0  # how long the sound is
    channel: Channel = field(default_factory=Channel)
    seed: int = 0
    text: str = ""
    speaker: str | None = None
    language: str | None = "en"  # of the speech, as a BCP-47 code; None for a sound
    labels: Mapping[str, Any] = field(default_factory=dict)  # as in `Utterance.labels`
