"""Which engine speaks a turn; each is loaded when it is first asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from speechverse.errors import UserError, unknown_name
from speechverse.world.clip import Prosody
from speechverse.world.espeak import Espeak
from speechverse.world.neural import HibariVoice, KokoroVoices, check_neural, kokoro_files

ESPEAK = "espeak"


class Engine(Protocol):
    """What turns a text into samples."""

    @property
    def sampling_rate(self) -> int:
        """Of the samples, in Hz."""

    def say(self, text: str, voice: str, prosody: Prosody) -> np.ndarray:
        """Speaks a text: float32 (T,)."""


_ENGINES: Mapping[str, Callable[[int], Engine]] = {
    ESPEAK: Espeak,
    "kokoro": KokoroVoices,
    "hibari": HibariVoice,
}


def check_engine(name: str) -> None:
    """Looks for what an engine needs, before anything is planned for it.

    Raises:
        MissingExtraError: An extra that is not installed.
        UserError: Files that are not there, or no such engine.
    """
    if name not in _ENGINES:
        raise UserError(unknown_name("engine", name, _ENGINES))
    if name != ESPEAK:
        check_neural()
    if name == "kokoro":
        kokoro_files()


class Engines:
    """All engines of one process, for one shard."""

    def __init__(self, seed: int) -> None:
        self.load = functools.cache(lambda name: _ENGINES[name](seed))

    def find(self, voice: str) -> tuple[Engine, str]:
        """A turn's engine, and its name for the voice: "kokoro/af_heart", or espeak-ng's."""
        name, slash, own = voice.partition("/")
        return (self.load(name), own) if slash else (self.load(ESPEAK), voice)
