"""Systems by name: the model and what it is measured against, all under the same tasks,
instructions and metrics.
"""

from __future__ import annotations

from collections.abc import Sequence

from speechverse.errors import UserError
from speechverse.evaluation.cascades import (
    Cascade,
    CtcCascade,
    SpeechVerseSystem,
    TunedWhisperCascade,
    WhisperCascade,
)
from speechverse.evaluation.parts import OPEN_SET, Parts, System
from speechverse.evaluation.without_words import LogMel, WithoutWords
from speechverse.registry import SYSTEMS

__all__ = [
    "OPEN_SET",
    "SYSTEMS",
    "Cascade",
    "CtcCascade",
    "LogMel",
    "Parts",
    "SpeechVerseSystem",
    "System",
    "TunedWhisperCascade",
    "WhisperCascade",
    "WithoutWords",
    "check_systems",
    "make_systems",
]


def make_systems(names: Sequence[str], parts: Parts) -> list[System]:
    """Systems by name, `family:WHICH` or `path/to/file.py:NAME`, in the order asked for.

    Raises:
        UserError: If two different ones have the same name, or one cannot be made.
    """
    check_systems(names)
    systems: dict[str, System] = {}
    for asked in dict.fromkeys(names):
        system = SYSTEMS[asked](parts)
        if system.name in systems:
            raise UserError(f"two systems are called '{system.name}'; rename a folder or file")
        systems[system.name] = system
    return list(systems.values())


def check_systems(names: Sequence[str]) -> None:
    """Refuses names that are none of `SYSTEMS`, and files that hold no system.

    Raises:
        UserError: For an unknown name, or none at all.
    """
    if not names:
        raise UserError(f"no system to evaluate; name some of: {', '.join(SYSTEMS)}")
    for name in names:
        SYSTEMS[name]
