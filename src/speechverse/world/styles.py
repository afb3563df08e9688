"""Speaking styles that stand in for emotions: rate, pitch, pauses and quality of the voice, never
its mean level.

The styles overlap: each draw is Gaussian around the emotion's centre, so that no single clip is
certain.
"""

from __future__ import annotations

import dataclasses
import math
import random
from importlib.resources import files

from speechverse.errors import UserError, unknown_name
from speechverse.world.accents import get_accent
from speechverse.world.clip import Manner, Prosody, Turn
from speechverse.world.tables import read_yaml
from speechverse.world.voices import NeuralSpeaker, Speaker

_TABLE = read_yaml(files(__package__).joinpath("styles.yaml"))
_STYLES = _TABLE["emotions"]
EMOTIONS: dict[str, str] = {name: style["description"] for name, style in _STYLES.items()}
SENTIMENT_OF: dict[str, str] = {name: style["sentiment"] for name, style in _STYLES.items()}
SENTIMENTS: dict[str, str] = _TABLE["sentiments"]

SPEEDS = (0.85, 1.2)
"""Slowest and quickest that neural voices speak, against the voice's own speed."""


def draw_style(emotion: str, rng: random.Random) -> tuple[Prosody, Manner]:
    """One way of speaking with an emotion; UserError where there is no such emotion."""
    if emotion not in _STYLES:
        raise UserError(unknown_name("emotion", emotion, _STYLES))
    usual, manner = Prosody(**_STYLES[emotion]["prosody"]), Manner(**_STYLES[emotion]["manner"])
    prosody = Prosody(
        rate=_draw(rng, usual.rate, 12, 100, 260),
        pitch=_draw(rng, usual.pitch, 6, 5, 95),
        pitch_range=_draw(rng, usual.pitch_range, 9, 0, 99),
        word_gap=_draw(rng, usual.word_gap, 0.8, 0, 8),
    )
    manner = Manner(
        roughness=_draw_depth(rng, manner.roughness, 0.12),
        dynamics=rng.gauss(manner.dynamics, 0.1),
        effort=rng.gauss(manner.effort, 0.6),
        lilt=_draw_depth(rng, manner.lilt, 0.12),
        breath=_draw_depth(rng, manner.breath, 0.08),
    )
    return prosody, manner


def draw_turn(
    text: str, speaker: Speaker, accent: str, emotion: str, rng: random.Random, level: float = 0.0
) -> Turn:
    """One way in which a speaker says a text, `level` dB louder or softer than the clip."""
    prosody, manner = draw_style(emotion, rng)
    spoken = get_accent(accent)
    prosody = dataclasses.replace(
        prosody,
        rate=round(prosody.rate * spoken.rate),
        pitch_range=min(99, max(0, prosody.pitch_range + spoken.liveliness)),
    )
    voice = speaker.voice(accent, shade=rng.randrange(len(spoken.shades)))
    manner = dataclasses.replace(manner, effort=manner.effort + speaker.brightness)
    return Turn(text, voice, speaker.tract, prosody, manner, level)


def draw_neural_turn(text: str, speaker: NeuralSpeaker, rng: random.Random) -> Turn:
    """One way in which a neural voice says a text: the speed alone differs."""
    rate = Prosody().rate * math.exp(rng.uniform(*map(math.log, SPEEDS)))
    return Turn(text, f"{speaker.engine}/{speaker.voice}", speaker.tract, Prosody(rate=round(rate)))


def _draw(rng: random.Random, centre: float, spread: float, low: int, high: int) -> int:
    return min(high, max(low, round(rng.gauss(centre, spread))))


def _draw_depth(rng: random.Random, centre: float, spread: float) -> float:
    """From 0 to 0.95; a trait that the style lacks is there a little, now and then."""
    return min(0.95, max(0.0, rng.gauss(centre, spread)))
