"""A clip before it is made: everything that decides how it will sound, small enough to send to a worker as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from speechverse.types import Seconds
from speechverse.world.espeak import Prosody


@dataclass(frozen=True, slots=True)
class Manner:
    """What a style does to the voice beyond espeak-ng's own settings; all 0 is the plain voice.

    Attributes:
        roughness: Depth of a fast tremble, 0 to 1.
        dynamics: Above 0 loud sounds stand out more, below 0 all are more alike.
        effort: Spectral tilt in dB an octave: a pressed voice is brighter, a weak one duller.
        lilt: Depth of a slow swing of pitch and loudness, as on the edge of laughter, 0 to 1.
        breath: Air in the voice against its sound, 0 to 1.
    """

    roughness: float = 0.0
    dynamics: float = 0.0
    effort: float = 0.0
    lilt: float = 0.0
    breath: float = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says in one go.

    Attributes:
        text: The words.
        voice: espeak-ng's name of language and variant.
        tract: Scale of pitch and formants.
        prosody: Rate, pitch, liveliness, pauses.
        manner: What else the style does.
        level: Louder or softer than the clip, in dB.
    """

    text: str
    voice: str
    tract: float = 1.0
    prosody: Prosody = field(default_factory=Prosody)
    manner: Manner = field(default_factory=Manner)
    level: float = 0.0


@dataclass(frozen=True, slots=True)
class Channel:
    """What happens between the speaker's mouth and the file.

    Attributes:
        level: dB below full scale, of the sounding parts.
        tilt: dB an octave.
        reverberation: Of the room (T60, in seconds); 0 is none.
        noise: Name of the sound underneath; "" is none.
        snr: Of speech to noise, in dB.
        clipping: Share of the sounding samples that an overdriven microphone cuts.
        telephone: Whether only the telephone band is left.
        codec: Name of what compressed it; "" is nothing.
        lead: Silence before, in seconds.
        tail: Silence after, in seconds.
    """

    level: float = -24.0
    tilt: float = 0.0
    reverberation: Seconds = 0.0
    noise: str = ""
    snr: float = 0.0
    clipping: float = 0.0
    telephone: bool = False
    codec: str = ""
    lead: Seconds = 0.1
    tail: Seconds = 0.1

    @property
    def labels(self) -> dict[str, Any]:
        """What was done to the sound, in the words of `Utterance.labels`; nothing where nothing was."""
        done = {
            "noise": self.noise,
            "snr_db": round(self.snr, 1) if self.noise else None,
            "room_t60": round(self.reverberation, 2),
            "clipping": round(self.clipping, 4),
            "telephone": self.telephone,
            "codec": self.codec,
        }
        return {label: value for label, value in done.items() if value or (label == "snr_db" and self.noise)}


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip to be made: turns, or a sound that is not speech.

    Attributes:
        id: Unique in the corpus.
        turns: Who says what; () for a sound.
        pauses: Between turns, one fewer than turns; negative is an overlap.
        sound: Name of the sound; "" for speech.
        seconds: How long the sound is.
        channel: How it is recorded.
        seed: For what is drawn while making it.
        text: The transcript.
        speaker: Who speaks.
        language: Of the speech, as a BCP-47 code; None for a sound.
        labels: As in `Utterance.labels`.
    """

    id: str
    turns: tuple[Turn, ...] = ()
    pauses: tuple[Seconds, ...] = ()
    sound: str = ""
    seconds: Seconds = 0.0
    channel: Channel = field(default_factory=Channel)
    seed: int = 0
    text: str = ""
    speaker: str | None = None
    language: str | None = "en"
    labels: Mapping[str, Any] = field(default_factory=dict)


def clip_from_json(record: Mapping[str, Any]) -> Clip:
    """The clip of which `dataclasses.asdict` gave the record, after a way through JSON."""
    turns = tuple(
        Turn(**{**turn, "prosody": Prosody(**turn["prosody"]), "manner": Manner(**turn["manner"])})
        for turn in record["turns"]
    )
    return Clip(
        **{**record, "turns": turns, "pauses": tuple(record["pauses"]), "channel": Channel(**record["channel"])}
    )
