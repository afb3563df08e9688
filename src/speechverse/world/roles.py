"""Who says a line from outside, and how: as the line asks, else drawn."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from speechverse.errors import unknown_name
from speechverse.world.accents import ACCENTS
from speechverse.world.clip import Turn
from speechverse.world.engines import ESPEAK
from speechverse.world.language import Part
from speechverse.world.styles import (
    EMOTIONS,
    SENTIMENT_OF,
    SENTIMENTS,
    draw_neural_turn,
    draw_style,
    draw_turn,
)
from speechverse.world.voices import (
    Speaker,
    get_neural_speaker,
    get_speaker,
    neural_speakers,
    speakers,
)


@dataclass(frozen=True, slots=True)
class Role:
    """How one line is spoken."""

    speaker: str  # as the manifest names who speaks
    labels: Mapping[str, Any]  # what is known of the voice
    turn: Callable[[str, random.Random], Turn]  # draws one way of saying a text


Labels = Mapping[str, Any]
"""What a line asks of how it is spoken, in the form that corpora are read in."""


def cast_role(
    engine: str, labels: Labels, voice: str | None, part: Part, language: str, rng: random.Random
) -> Role:
    """Finds who speaks a line, among an engine's speakers of a part.

    Raises:
        ValueError: What the line asks cannot be had.
        UserError: No such voice.
    """
    if engine == ESPEAK:
        return _cast_espeak(labels, voice, part, language, rng)
    return _cast_neural(engine, labels, voice, part, language, rng)


def _cast_espeak(
    labels: Labels, voice: str | None, part: Part, language: str, rng: random.Random
) -> Role:
    known = speakers(part)
    drawn = rng.choice(known), rng.choice(_emotions(labels)), rng.choice(list(ACCENTS))
    emotion, accent = labels.get("emotion", drawn[1]), labels.get("accent", drawn[2])
    _check("emotion", emotion, EMOTIONS)
    _check("accent", accent, ACCENTS)
    is_english = language == "en"
    if not is_english and "accent" in labels:
        raise ValueError(
            f"has an accent, which only English is spoken with, but its language is '{language}'"
        )
    speaker = get_speaker(voice) if voice else drawn[0]
    _check_part(speaker.name, part, [other.name for other in known])
    return speaker_role(speaker, emotion, accent if is_english else None, language)


def speaker_role(speaker: Speaker, emotion: str, accent: str | None, language: str) -> Role:
    """That speaker, emotion and accent; only English has an accent."""

    def turn(text: str, rng: random.Random) -> Turn:
        if accent:
            return draw_turn(text, speaker, accent, emotion, rng)
        return Turn(text, f"{language}+{speaker.variant}", speaker.tract, *draw_style(emotion, rng))

    labels = {"emotion": emotion, "sentiment": SENTIMENT_OF[emotion]}
    return Role(speaker.name, labels | ({"accent": accent} if accent else {}), turn)


def _cast_neural(
    engine: str, labels: Labels, voice: str | None, part: Part, language: str, rng: random.Random
) -> Role:
    """One of a neural engine's speakers: they have an accent, but no emotion of their own."""
    if acted := [key for key in ("emotion", "sentiment") if key in labels]:
        raise ValueError(
            f"has '{acted[0]}', which {engine}'s voices cannot act: take --engine espeak, or, to"
            f" keep it as a mere label, --rename {acted[0]}=other_name"
        )
    if language != "en":
        raise ValueError(
            f"is in '{language}', but {engine} speaks English alone: take --engine espeak"
        )
    known = neural_speakers(engine, part)
    if not known:
        raise ValueError(
            f"the split '{part}' is of voices of its own, and {engine} has one voice, for 'train'"
        )
    accent = labels.get("accent")
    if accent is not None:
        _check("accent", accent, sorted({speaker.accent for speaker in known}))
    speaker = rng.choice([speaker for speaker in known if accent in (None, speaker.accent)])
    if voice:
        speaker = get_neural_speaker(engine, voice)
        _check_part(speaker.name, part, [other.name for other in known])
        if accent not in (None, speaker.accent):
            raise ValueError(f"the voice '{speaker.name}' is {speaker.accent}, not {accent}")
    return Role(
        f"{engine}-{speaker.name}",
        {"accent": speaker.accent},
        lambda text, rng: draw_neural_turn(text, speaker, rng),
    )


def _emotions(labels: Labels) -> list[str]:
    """The emotions that sound like the line's sentiment, unless its emotion decides."""
    if "emotion" in labels or "sentiment" not in labels:
        return list(EMOTIONS)
    _check("sentiment", labels["sentiment"], SENTIMENTS)
    return [emotion for emotion in EMOTIONS if SENTIMENT_OF[emotion] == labels["sentiment"]]


def _check_part(voice: str, part: Part, known: list[str]) -> None:
    if voice not in known:
        raise ValueError(
            f"the voice '{voice}' is none of the split '{part}', whose voices are its own: "
            f"take one of them, such as {known[0]}, or another 'split'"
        )


def _check(key: str, value: str, known: Collection[str]) -> None:
    if value not in known:
        raise ValueError(
            f"{unknown_name(key, value, known)}; '{key}' decides how the line is spoken: to keep it"
            f" as a mere label, --rename {key}=other_name"
        )
