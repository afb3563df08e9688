"""Who says a line from outside, and how: as the line asks, else drawn; for espeak-ng and for the
neural engines.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from speechverse.errors import unknown_name
from speechverse.world.accents import ACCENTS
from speechverse.world.clip import Turn
from speechverse.world.engines import ESPEAK, check_engine
from speechverse.world.language.sentence import Part
from speechverse.world.natural import draw_natural_turn, find_natural, natural_speakers
from speechverse.world.styles import EMOTIONS, SENTIMENT_OF, SENTIMENTS, draw_style, draw_turn
from speechverse.world.voices import Speaker, get_speaker, speakers


@dataclass(frozen=True, slots=True)
class Role:
    """How one line is spoken."""

    speaker: str  # as the manifest names who speaks
    labels: Mapping[str, Any]  # what is known of the voice
    turn: Callable[[str, random.Random], Turn]  # draws one way of saying a text


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a line asks of who speaks it."""

    labels: Mapping[str, Any]  # of the line, in the form that corpora are read in
    voice: str | None
    part: Part  # whose voices may speak it
    language: str  # of its text


Cast = Callable[[Wishes, random.Random], Role]
"""Finds the role; a ValueError or UserError where the wishes cannot be met."""


def cast_of(engine: str) -> Cast:
    """How an engine's voices are given to lines.

    Raises:
        UserError: No such engine.
        MissingExtraError: An extra that the engine needs is not installed.
    """
    check_engine(engine)
    return espeak_role if engine == ESPEAK else functools.partial(natural_role, engine)


def espeak_role(wishes: Wishes, rng: random.Random) -> Role:
    """One of espeak-ng's speakers, with an emotion and, in English, an accent."""
    labels, part = wishes.labels, wishes.part
    drawn = rng.choice(speakers(part)), rng.choice(_emotions(labels)), rng.choice(list(ACCENTS))
    emotion, accent = labels.get("emotion", drawn[1]), labels.get("accent", drawn[2])
    _check("emotion", emotion, EMOTIONS)
    _check("accent", accent, ACCENTS)
    if wishes.language != "en" and "accent" in labels:
        raise ValueError(
            "has an accent, which only English is spoken with, but its language is"
            f" '{wishes.language}'"
        )
    speaker = get_speaker(wishes.voice) if wishes.voice else drawn[0]
    _check_part(speaker.name, part, [known.name for known in speakers(part)])
    return speaker_role(
        speaker, emotion, accent if wishes.language == "en" else None, wishes.language
    )


def speaker_role(speaker: Speaker, emotion: str, accent: str | None, language: str) -> Role:
    """That speaker, emotion and accent; only English has an accent."""

    def turn(text: str, rng: random.Random) -> Turn:
        if accent:
            return draw_turn(text, speaker, accent, emotion, rng)
        return Turn(text, f"{language}+{speaker.variant}", speaker.tract, *draw_style(emotion, rng))

    labels = {"emotion": emotion, "sentiment": SENTIMENT_OF[emotion]} | (
        {"accent": accent} if accent else {}
    )
    return Role(speaker.name, labels, turn)


def natural_role(engine: str, wishes: Wishes, rng: random.Random) -> Role:
    """One of a neural engine's speakers: they have an accent, but no emotion of their own."""
    labels, part = wishes.labels, wishes.part
    for key in ("emotion", "sentiment"):
        if key in labels:
            raise ValueError(
                f"has '{key}', which {engine}'s voices cannot act: take --engine espeak, or, to"
                f" keep it as a mere label, --rename {key}=other_name"
            )
    if wishes.language != "en":
        raise ValueError(
            f"is in '{wishes.language}', but {engine} speaks English alone: take --engine espeak"
        )
    known = natural_speakers(engine, part)
    if not known:
        raise ValueError(
            f"the split '{part}' is of voices of its own, and {engine} has one voice, for 'train'"
        )
    accents = sorted({speaker.accent for speaker in known})
    wanted = labels.get("accent")
    if wanted is not None:
        _check("accent", wanted, accents)
    speaker = rng.choice([speaker for speaker in known if wanted in (None, speaker.accent)])
    if wishes.voice:
        speaker = find_natural(engine, wishes.voice)
        _check_part(speaker.name, part, [other.name for other in known])
        if wanted not in (None, speaker.accent):
            raise ValueError(f"the voice '{speaker.name}' is {speaker.accent}, not {wanted}")
    return Role(
        speaker.label,
        {"accent": speaker.accent},
        lambda text, how: draw_natural_turn(text, speaker, how),
    )


def _emotions(labels: Mapping[str, Any]) -> list[str]:
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


def _check(key: str, value: str, known: Any) -> None:
    if value not in known:
        raise ValueError(
            f"{unknown_name(key, value, known)}; '{key}' decides how the line is spoken: to keep it"
            f" as a mere label, --rename {key}=other_name"
        )
