"""An utterance with a label for every task, and the label inventory of its corpus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from speechverse.tasks import LabelSet
from speechverse.types import AudioRef, Utterance

EVERYTHING = {
    "text": "play miles davis in the kitchen",
    "intent": "play_music",
    "slots": [["artist", "miles davis"], ["room", "kitchen"]],
    "keywords": ["miles davis", "kitchen"],
    "translations": {
        "de": "spiele miles davis in der küche",
        "fr": "joue miles davis dans la cuisine",
    },
    "emotion": "happy",
    "sentiment": "neutral",
    "accent": "scottish",
    "num_speakers": 1,
    "is_speech": True,
}


@pytest.fixture
def speech() -> Callable[..., Utterance]:
    """Makes an utterance with every label; a change to None takes one away."""

    def make(**changes: object) -> Utterance:
        labels = {
            name: value for name, value in (EVERYTHING | changes).items() if value is not None
        }
        return Utterance(
            "u1", AudioRef(Path("u1.flac")), 2.0, labels.pop("text", None), labels=labels
        )

    return make


@pytest.fixture
def inventory() -> dict[str, LabelSet]:
    return {
        "intent": LabelSet(
            "intent", {"play_music": "wants to hear music", "set_alarm": "wants to be woken"}
        ),
        "slots": LabelSet(
            "slots", {"artist": "who sings or plays", "room": "a part of the house", "time": ""}
        ),
    }
