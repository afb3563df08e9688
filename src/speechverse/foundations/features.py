"""Features of a corpus made once, kept as one fp16 file, read in batches of like length.

Shapes: B batch, T stacked frames (25 Hz), F width of a stacked frame (stride × mel bins), U target pieces.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig

from speechverse.audio import load
from speechverse.batching import padded_batches
from speechverse.encoders.wav2vec2_bert import Wav2Vec2BertFrontEnd
from speechverse.errors import UserError
from speechverse.files import whole_folder, write_text
from speechverse.foundations.recipe import SpecAugment
from speechverse.seeding import rng_for
from speechverse.training.logs import Progress
from speechverse.types import Utterance

MEL_BINS = 80
MEL_FRAME_RATE = 100
_FRAMES_FILE, _INDEX_FILE = "frames.f16", "index.json"
_CHUNK = 64


class FeatureStore:
    """Stacked log-mel frames of utterances, in their order."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / _INDEX_FILE).read_text())
        self.lengths: list[int] = index["lengths"]
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self.width: int = index["width"]
        self.frames = np.memmap(folder / _FRAMES_FILE, np.float16, "r", shape=(int(self.offsets[-1]), self.width))

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> Tensor:
        """(T, F) frames of one utterance."""
        return torch.from_numpy(self.frames[self.offsets[row] : self.offsets[row + 1]].astype(np.float32))


def front_end(stride: int) -> Wav2Vec2BertFrontEnd:
    """What makes the encoder's inputs."""
    extractor = SeamlessM4TFeatureExtractor(stride=stride)
    return Wav2Vec2BertFrontEnd(Wav2Vec2BertConfig(feature_projection_input_dim=MEL_BINS * stride), extractor)


def make_features(utterances: Sequence[Utterance], folder: Path, stride: int, workers: int) -> FeatureStore:
    """Makes the features of utterances over worker processes, or opens those made before."""
    index = folder / _INDEX_FILE
    made_of = _fingerprint(utterances, stride)
    if index.exists() and json.loads(index.read_text()).get("made_of") == made_of:
        return FeatureStore(folder)
    chunks = [utterances[start : start + _CHUNK] for start in range(0, len(utterances), _CHUNK)]
    lengths: list[int] = []
    with (
        whole_folder(folder) as scratch,
        (scratch / _FRAMES_FILE).open("wb") as file,
        _mapping(workers) as over,
        Progress("features", len(utterances)) as progress,
    ):
        for rows in over(partial(_features_of, stride=stride), chunks):
            for row in rows:
                file.write(row.tobytes())
                lengths.append(len(row))
            progress.advance(len(rows))
        write_text(
            scratch / _INDEX_FILE, json.dumps({"made_of": made_of, "lengths": lengths, "width": MEL_BINS * stride})
        )
    return FeatureStore(folder)


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Iterable[list[np.ndarray]]]]:
    """`map` over processes, or in this one where one worker is asked for."""
    if workers == 1:
        yield map
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        yield pool.map


def _fingerprint(utterances: Sequence[Utterance], stride: int) -> str:
    """Of everything that features belong to: another plan of the corpus gives other sounds under the same ids."""
    parts = [f"{u.id} {u.duration:.5f} {u.speaker} {u.text}" for u in utterances]
    return hashlib.sha256("\n".join([str(stride), *parts]).encode()).hexdigest()


def _features_of(utterances: Sequence[Utterance], stride: int) -> list[np.ndarray]:
    make = front_end(stride)
    rows = [make.prepare([load(utterance.audio).samples])["input_features"][0] for utterance in utterances]
    return [row.numpy().astype(np.float16) for row in rows]


class SpeechBatch(NamedTuple):
    """Utterances of one step, padded.

    Attributes:
        features: (B, T, F).
        mask: (B, T), 1 on true frames.
        rows: Which utterances.
    """

    features: Tensor
    mask: Tensor
    rows: list[int]


class SpeechBatches:
    """Batch number `step` of an endless, repeatable sequence: epochs over rows, like lengths together."""

    def __init__(self, store: FeatureStore, rows: Sequence[int], frames: int, seed: int, needed: str = "clips") -> None:
        """Sets up the sequence.

        Args:
            store: Where features are.
            rows: Utterances that take part.
            frames: Padded frames of a batch, at most.
            seed: Of the order.
            needed: What `rows` are, for the error.

        Raises:
            UserError: If there are no rows.
        """
        if not rows:
            raise UserError(
                f"there are no {needed} among the {len(store)} clips made, so there is nothing to make batches of; "
                "change that limit or make more clips (data.utterances, data.dev_utterances)"
            )
        self.store, self.rows, self.frames, self.seed = store, rows, frames, seed
        self._plan: list[list[int]] = []
        self._epochs = 0

    def __getitem__(self, step: int) -> SpeechBatch:
        while step >= len(self._plan):
            self._plan += self._epoch(self._epochs)
            self._epochs += 1
        return self.collate(self._plan[step])

    def _epoch(self, number: int) -> list[list[int]]:
        rng = rng_for(self.seed, "epoch", number)
        order = sorted(self.rows, key=lambda row: self.store.lengths[row] * rng.uniform(0.9, 1.1))
        batches = list(self.in_batches(order))
        rng.shuffle(batches)
        return batches

    def in_batches(self, order: Sequence[int]) -> Iterator[list[int]]:
        """Cuts rows into batches of at most `frames` padded frames."""
        return padded_batches(order, self.store.lengths.__getitem__, self.frames)

    def collate(self, rows: list[int]) -> SpeechBatch:
        """Pads the features of rows."""
        frames = [self.store[row] for row in rows]
        lengths = torch.tensor([len(row) for row in frames])
        mask = (torch.arange(int(lengths.max())) < lengths[:, None]).long()
        return SpeechBatch(torch.nn.utils.rnn.pad_sequence(frames, batch_first=True), mask, rows)


def warped(batch: SpeechBatch, rng: random.Random, tempo: float = 0.1, tract: float = 0.08) -> SpeechBatch:
    """The batch at another speed and from other vocal tracts: mel frames stretched in time and in frequency.

    Args:
        batch: As it was recorded.
        rng: Draws both factors for the whole batch.
        tempo: Largest change of speed, as a share.
        tract: Largest change of frequency.
    """
    rows, frames, width = batch.features.shape
    stride = width // MEL_BINS
    new_frames = max(1, round(frames * rng.uniform(1 - tempo, 1 + tempo)))
    bins = round(MEL_BINS * rng.uniform(1 - tract, 1 + tract))
    mels = batch.features.reshape(rows, 1, frames * stride, MEL_BINS)
    mels = functional.interpolate(mels, size=(new_frames * stride, bins), mode="bilinear", align_corners=False)
    mels = functional.pad(mels[..., :MEL_BINS], (0, max(0, MEL_BINS - bins), 0, 0), mode="replicate")
    lengths = (batch.mask.sum(dim=1) * (new_frames / frames)).round().long().clamp(1, new_frames)
    mask = (torch.arange(new_frames) < lengths[:, None]).long()
    features = mels.reshape(rows, new_frames, width) * mask[..., None]
    return SpeechBatch(features, mask, batch.rows)


def spec_augment(batch: SpeechBatch, settings: SpecAugment, rng: random.Random) -> SpeechBatch:
    """Hides spans of time and bands of mel bins, each row its own (SpecAugment, arXiv 1904.08779)."""
    features = batch.features.clone()
    mels = features.view(*features.shape[:2], -1, MEL_BINS)
    for row, length in enumerate(batch.mask.sum(dim=1).tolist()):
        for _ in range(settings.time_spans):
            width = min(rng.randint(0, settings.time_width), length // 4)
            start = rng.randint(0, length - width)
            mels[row, start : start + width] = 0.0
        for _ in range(settings.mel_spans):
            width = rng.randint(0, settings.mel_width)
            start = rng.randint(0, MEL_BINS - width)
            mels[row, :, :, start : start + width] = 0.0
    return batch._replace(features=features)
