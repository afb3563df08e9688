"""Which engine speaks a turn; each is loaded when it is first asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from speechverse.errors import UserError, unknown_name
from speechverse.world.espeak import Espeak, Prosody
from speechverse.world.neural import HibariVoice, KokoroVoices, check_neural, kokoro_files

ESPEAK = "espeak"


class Engine(Protocol):
    """What turns a text into samples."""

    @property
    def sampling_rate(self) -> int:
        """Of the samples, in Hz."""

    def say(self, text: str, voice: str, prosody: Prosody) -> np.ndarray:
        """Speaks a text: float32 (T,)."""


NEURAL: Mapping[str, Callable[[int], Engine]] = {"kokoro": KokoroVoices, "hibari": HibariVoice}
"""Name → engine whose voices are called "kokoro/af_heart"; a name without an engine is one of
espeak-ng's.
"""


def engine_name(voice: str) -> str:
    """The engine that a turn's voice belongs to."""
    return voice.partition("/")[0] if "/" in voice else ESPEAK


def check_engine(name: str) -> None:
    """Looks for what an engine needs, before anything is planned for it.

    Raises:
        MissingExtraError: An extra that is not installed.
        UserError: Files that are not there, or no such engine.
    """
    if name not in (ESPEAK, *NEURAL):
        raise UserError(unknown_name("engine", name, (ESPEAK, *NEURAL)))
    if name in NEURAL:
        check_neural()
    if name == "kokoro":
        kokoro_files()


class Engines:
    """All engines of one process, for one shard."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._loaded: dict[str, Engine] = {}

    @functools.cached_property
    def espeak(self) -> Espeak:
        """espeak-ng, which also makes the voices in the background."""
        return Espeak(self._seed)

    def speaker(self, voice: str) -> tuple[Engine, str]:
        """The engine of a turn's voice, and what that engine calls it."""
        name = engine_name(voice)
        if name == ESPEAK:
            return self.espeak, voice
        if name not in self._loaded:
            self._loaded[name] = NEURAL[name](self._seed)
        return self._loaded[name], voice.partition("/")[2]
