"""One pass over the sound of a sample of the clips: level and mean log-mels, nothing else is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from speechverse.audio import load
from speechverse.audio.waveform import active_level_db
from speechverse.errors import AudioError
from speechverse.evaluation.log_mels import mean_log_mels
from speechverse.seeding import rng_for
from speechverse.types import Utterance

if TYPE_CHECKING:
    from speechverse.evaluation.clips import Watch


@dataclass(frozen=True, slots=True)
class Heard:
    """One clip that was listened to."""

    utterance: Utterance
    level: float  # of its sounding parts, in dB below full scale
    mels: np.ndarray  # (80,) time means of its log-mels


@dataclass(slots=True)
class Hearing:
    """What was heard of a corpus."""

    # Split → clips, in the manifest's order.
    heard: dict[str, list[Heard]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)  # id → reason


def hear(splits: Mapping[str, Sequence[Utterance]], num_clips: int, seed: int, watch: Watch) -> Hearing:
    """Listens to at most `num_clips` clips of every split, drawn by `seed`."""
    samples = {split: _sample(utterances, num_clips, seed, split) for split, utterances in splits.items()}
    total, done, hearing = sum(map(len, samples.values())), 0, Hearing()
    for split, utterances in samples.items():
        hearing.heard[split] = []
        for utterance in utterances:
            try:
                hearing.heard[split].append(_hear_one(utterance))
            except AudioError as error:
                hearing.unreadable[utterance.id] = str(error)
            done += 1
            watch(done, total, f"listening to {split}")
    return hearing


def _sample(utterances: Sequence[Utterance], num_clips: int, seed: int, split: str) -> list[Utterance]:
    rows = range(len(utterances))
    chosen = rows if len(rows) <= num_clips else sorted(rng_for(seed, "card", split).sample(rows, num_clips))
    return [utterances[row] for row in chosen]


def _hear_one(utterance: Utterance) -> Heard:
    samples = load(utterance.audio).samples
    return Heard(utterance, active_level_db(samples), mean_log_mels(samples))
