"""One pass over the sound of a sample of the clips: level and mean log-mels, nothing else is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from speechverse.audio import load
from speechverse.audio.waveform import active_level_db
from speechverse.errors import AudioError
from speechverse.seeding import rng_for
from speechverse.types import Utterance

if TYPE_CHECKING:
    from speechverse.encoders.wav2vec2_bert import Wav2Vec2BertFrontEnd
    from speechverse.evaluation.runner import Watch

MEL_BINS = 80
_SHORTEST = 400  # samples: one frame of the front end


@dataclass(frozen=True, slots=True)
class Heard:
    """One clip that was listened to.

    Attributes:
        utterance: Which.
        level: Of its sounding parts, in dB below full scale.
        mels: (80,) time means of its log-mels.
    """

    utterance: Utterance
    level: float
    mels: np.ndarray


@dataclass(slots=True)
class Hearing:
    """What was heard of a corpus.

    Attributes:
        heard: Split → clips, in the manifest's order.
        unreadable: Id → reason.
    """

    heard: dict[str, list[Heard]] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)


def hear(splits: Mapping[str, Sequence[Utterance]], num_clips: int, seed: int, watch: Watch) -> Hearing:
    """Listens to at most `num_clips` clips of every split, drawn by `seed`."""
    samples = {split: _sample(utterances, num_clips, seed, split) for split, utterances in splits.items()}
    total, done, hearing, front_end = sum(map(len, samples.values())), 0, Hearing(), _front_end()
    for split, utterances in samples.items():
        hearing.heard[split] = []
        for utterance in utterances:
            try:
                hearing.heard[split].append(_hear_one(utterance, front_end))
            except AudioError as error:
                hearing.unreadable[utterance.id] = str(error)
            done += 1
            watch(done, total, f"listening to {split}")
    return hearing


def _sample(utterances: Sequence[Utterance], num_clips: int, seed: int, split: str) -> list[Utterance]:
    rows = range(len(utterances))
    chosen = rows if len(rows) <= num_clips else sorted(rng_for(seed, "card", split).sample(rows, num_clips))
    return [utterances[row] for row in chosen]


def _front_end() -> Wav2Vec2BertFrontEnd:
    from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig

    from speechverse.encoders.wav2vec2_bert import Wav2Vec2BertFrontEnd

    config = Wav2Vec2BertConfig(feature_projection_input_dim=MEL_BINS)
    return Wav2Vec2BertFrontEnd(config, SeamlessM4TFeatureExtractor(stride=1))


def _hear_one(utterance: Utterance, front_end: Wav2Vec2BertFrontEnd) -> Heard:
    import torch

    samples = load(utterance.audio).samples
    padded = np.pad(samples, (0, max(0, _SHORTEST - len(samples))))
    mels = front_end.log_mel(torch.from_numpy(padded)).mean(dim=0).numpy()
    return Heard(utterance, active_level_db(samples), mels)
