"""Speaking styles that stand in for emotions: rate, pitch, liveliness and pauses, never loudness.

The styles overlap: each draw is Gaussian around the emotion's centre, so that no single clip is certain.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from speechverse.errors import UserError, unknown_name
from speechverse.synth.clip import Manner
from speechverse.synth.espeak import Prosody

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


@dataclass(frozen=True, slots=True)
class Style:
    """Centres of a speaking style: rate in words a minute, the rest in the units of `Prosody` and `Manner`."""

    rate: float
    pitch: float
    pitch_range: float
    word_gap: float
    roughness: float
    dynamics: float
    effort: float


_STYLES = {
    "happy": Style(rate=180, pitch=78, pitch_range=95, word_gap=0, roughness=0, dynamics=0.2, effort=0.8),
    "sad": Style(rate=138, pitch=30, pitch_range=8, word_gap=3, roughness=0, dynamics=-0.3, effort=-1.5),
    "angry": Style(rate=200, pitch=40, pitch_range=80, word_gap=0, roughness=0.75, dynamics=0.5, effort=1.5),
    "neutral": Style(rate=160, pitch=46, pitch_range=35, word_gap=0, roughness=0, dynamics=0, effort=0),
}


def draw_style(emotion: str, rng: random.Random) -> tuple[Prosody, Manner]:
    """One way of speaking with an emotion.

    Raises:
        UserError: No such emotion.
    """
    if emotion not in _STYLES:
        raise UserError(unknown_name("emotion", emotion, _STYLES))
    style = _STYLES[emotion]
    prosody = Prosody(
        rate=_draw(rng, style.rate, 10, 100, 260),
        pitch=_draw(rng, style.pitch, 5, 5, 95),
        pitch_range=_draw(rng, style.pitch_range, 8, 0, 99),
        word_gap=_draw(rng, style.word_gap, 0.8, 0, 8),
    )
    roughness = min(0.95, max(0.0, rng.gauss(style.roughness, 0.12))) if style.roughness else 0.0
    return prosody, Manner(roughness, rng.gauss(style.dynamics, 0.1), rng.gauss(style.effort, 0.5))


def _draw(rng: random.Random, centre: float, spread: float, low: int, high: int) -> int:
    return min(high, max(low, round(rng.gauss(centre, spread))))
