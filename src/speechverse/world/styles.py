"""Speaking styles that stand in for emotions: rate, pitch, pauses and quality of the voice, never
its mean level.

The styles overlap: each draw is Gaussian around the emotion's centre, so that no single clip is
certain.
"""

from __future__ import annotations

import dataclasses
import random

from speechverse.errors import UserError, unknown_name
from speechverse.world.accents import get_accent
from speechverse.world.clip import Manner, Turn
from speechverse.world.espeak import Prosody
from speechverse.world.voices import Speaker

EMOTIONS = {
    "happy": "a lively, high and quick voice",
    "sad": "a slow, low and flat voice with pauses",
    "angry": "a hard, quick and low voice with strong stresses",
    "neutral": "an even, everyday voice",
}
"""Emotion → description."""

SENTIMENTS = {
    "positive": "the speaker sounds pleased",
    "negative": "the speaker sounds displeased",
    "neutral": "the speaker sounds neither pleased nor displeased",
}
"""Sentiment → description."""

SENTIMENT_OF = {"happy": "positive", "sad": "negative", "angry": "negative", "neutral": "neutral"}
"""Emotion → sentiment: the valence of the style, not of the words."""

_STYLES = {
    "happy": (
        Prosody(rate=178, pitch=76, pitch_range=92),
        Manner(dynamics=0.2, effort=0.6, lilt=0.65),
    ),
    "sad": (
        Prosody(rate=140, pitch=32, pitch_range=10, word_gap=3),
        Manner(dynamics=-0.3, effort=-1.2, breath=0.3),
    ),
    "angry": (
        Prosody(rate=200, pitch=42, pitch_range=75),
        Manner(roughness=0.75, dynamics=0.5, effort=1.2),
    ),
    "neutral": (Prosody(rate=162, pitch=48, pitch_range=30), Manner()),
}
"""Emotion → the centres of its style."""


def draw_style(emotion: str, rng: random.Random) -> tuple[Prosody, Manner]:
    """One way of speaking with an emotion.

    Raises:
        UserError: No such emotion.
    """
    if emotion not in _STYLES:
        raise UserError(unknown_name("emotion", emotion, _STYLES))
    usual_prosody, usual_manner = _STYLES[emotion]
    prosody = Prosody(
        rate=_draw(rng, usual_prosody.rate, 12, 100, 260),
        pitch=_draw(rng, usual_prosody.pitch, 6, 5, 95),
        pitch_range=_draw(rng, usual_prosody.pitch_range, 9, 0, 99),
        word_gap=_draw(rng, usual_prosody.word_gap, 0.8, 0, 8),
    )
    manner = Manner(
        roughness=_depth(rng, usual_manner.roughness, 0.12),
        dynamics=rng.gauss(usual_manner.dynamics, 0.1),
        effort=rng.gauss(usual_manner.effort, 0.6),
        lilt=_depth(rng, usual_manner.lilt, 0.12),
        breath=_depth(rng, usual_manner.breath, 0.08),
    )
    return prosody, manner


def draw_turn(
    text: str, speaker: Speaker, accent: str, emotion: str, rng: random.Random, level: float = 0.0
) -> Turn:
    """One way in which a speaker says a text, `level` dB louder or softer than the clip.

    Raises:
        UserError: No such accent or emotion.
    """
    prosody, manner = draw_style(emotion, rng)
    spoken = get_accent(accent)
    prosody = dataclasses.replace(
        prosody,
        rate=round(prosody.rate * spoken.rate),
        pitch_range=min(99, max(0, prosody.pitch_range + spoken.liveliness)),
    )
    shade = rng.randrange(len(spoken.shades))
    manner = dataclasses.replace(manner, effort=manner.effort + speaker.brightness)
    return Turn(text, speaker.voice(accent, shade), speaker.tract, prosody, manner, level)


def _draw(rng: random.Random, centre: float, spread: float, low: int, high: int) -> int:
    return min(high, max(low, round(rng.gauss(centre, spread))))


def _depth(rng: random.Random, centre: float, spread: float) -> float:
    """From 0 to 0.95; a trait that the style lacks is there a little, now and then."""
    return min(0.95, max(0.0, rng.gauss(centre, spread)))
