"""Log-mel frames of a corpus made once, kept as one fp16 file, read in batches of like length.

Shapes: B batch, F mel frames (100 Hz), M mel bins, T stacked frames (25 Hz).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import SeamlessM4TFeatureExtractor, Wav2Vec2BertConfig

from speechverse.batching import padded_batches
from speechverse.encoders.wav2vec2_bert import Wav2Vec2BertFrontEnd, stacked_frames
from speechverse.errors import UserError
from speechverse.files import whole_folder, write_text
from speechverse.foundations.compute import Compute
from speechverse.foundations.crew import ALONE, Crew
from speechverse.foundations.listening import samples_of
from speechverse.seeding import rng_for
from speechverse.training.logs import Progress
from speechverse.types import Utterance

MEL_BINS = 80
MEL_FRAME_RATE = 100
_FRAMES_FILE, _INDEX_FILE = "mels.f16", "index.json"
_CHUNK = 64


class FeatureStore:
    """Log-mel frames of utterances, in their order; `lengths` counts mel frames."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / _INDEX_FILE).read_text())
        self.lengths: list[int] = index["lengths"]
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])
        self.frames = np.memmap(folder / _FRAMES_FILE, np.float16, "r", shape=(int(self.offsets[-1]), MEL_BINS))
        self.device = torch.device("cpu")
        self._kept: Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> Tensor:
        """(F, M) frames of one utterance; on the device if all are kept there."""
        if self._kept is not None:
            return self._kept[self.offsets[row] : self.offsets[row + 1]].float()
        return torch.from_numpy(self.frames[self.offsets[row] : self.offsets[row + 1]].astype(np.float32))

    def serve(self, compute: Compute) -> FeatureStore:
        """Gives batches on that device from now on, and holds all frames there if they fit."""
        self.device = compute.device
        if compute.has_room_for(self.frames.nbytes):
            self._kept = torch.from_numpy(np.array(self.frames)).to(self.device)
        return self

    def padded(self, rows: Sequence[int]) -> Tensor:
        """(B, F, M) frames of utterances on the device, 0 beyond their lengths."""
        if self._kept is None:
            return pad_sequence([self[row] for row in rows], batch_first=True).to(self.device)
        lengths = torch.tensor([self.lengths[row] for row in rows])[:, None]
        places = torch.arange(int(lengths.max()))
        starts = torch.from_numpy(self.offsets[list(rows)])[:, None]
        beyond = (places >= lengths).to(self.device)
        # One gather: on a GPU a copy for each row costs more than the rows themselves.
        frames = self._kept[(starts + places.minimum(lengths - 1)).to(self.device)]
        return frames.float().masked_fill(beyond[..., None], 0.0)


def front_end(stride: int) -> Wav2Vec2BertFrontEnd:
    """What makes the encoder's inputs."""
    extractor = SeamlessM4TFeatureExtractor(stride=stride)
    return Wav2Vec2BertFrontEnd(Wav2Vec2BertConfig(feature_projection_input_dim=MEL_BINS * stride), extractor)


def make_features(utterances: Sequence[Utterance], folder: Path, workers: int) -> FeatureStore:
    """Makes the features of utterances over worker processes, or opens those made before."""
    index = folder / _INDEX_FILE
    made_of = _fingerprint(utterances)
    if index.exists() and json.loads(index.read_text()).get("made_of") == made_of:
        return FeatureStore(folder)
    chunks = [utterances[start : start + _CHUNK] for start in range(0, len(utterances), _CHUNK)]
    lengths: list[int] = []
    with (
        whole_folder(folder) as scratch,
        (scratch / _FRAMES_FILE).open("wb") as file,
        over_processes(workers) as over,
        Progress("features", len(utterances)) as progress,
    ):
        for rows in over(_features_of, chunks):
            for row in rows:
                file.write(row.tobytes())
                lengths.append(len(row))
            progress.advance(len(rows))
        write_text(scratch / _INDEX_FILE, json.dumps({"made_of": made_of, "lengths": lengths}))
    return FeatureStore(folder)


@contextmanager
def over_processes(workers: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map` over processes, or in this one where one worker is asked for."""
    if workers == 1:
        yield map
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        yield pool.map


def _fingerprint(utterances: Sequence[Utterance]) -> str:
    """Of everything that features belong to: another plan of the corpus gives other sounds under the same ids."""
    parts = [f"{u.id} {u.duration:.5f} {u.speaker} {u.text}" for u in utterances]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _features_of(utterances: Sequence[Utterance]) -> list[np.ndarray]:
    make = front_end(stride=1)
    heard = samples_of([utterance.audio for utterance in utterances])
    rows = (make.log_mel(torch.from_numpy(samples)) for samples in heard)
    return [row.numpy().astype(np.float16) for row in rows]


class MelBatch(NamedTuple):
    """Utterances of one step, as they were recorded.

    Attributes:
        mels: (B, F, M) log-mel energies; what lies beyond a row's length means nothing.
        lengths: (B,) true mel frames.
        rows: Which utterances.
    """

    mels: Tensor
    lengths: Tensor
    rows: list[int]

    @property
    def mask(self) -> Tensor:
        """(B, F), 1 on true frames."""
        return (torch.arange(self.mels.shape[1], device=self.mels.device) < self.lengths[:, None]).long()


class SpeechBatch(NamedTuple):
    """Utterances of one step, as the encoder takes them.

    Attributes:
        features: (B, T, stride × M), normalised and stacked, 0 beyond a row's length.
        mask: (B, T), 1 on true frames.
        rows: Which utterances.
    """

    features: Tensor
    mask: Tensor
    rows: list[int]


def stacked(batch: MelBatch, stride: int) -> SpeechBatch:
    """Normalises each row's bins over its true frames and stacks `stride` frames into one.

    The same numbers as the front end gives for the same samples: a last stack counts where it holds two true frames.
    """
    mask_BF1 = batch.mask[..., None].float()
    counts_B11 = batch.lengths[:, None, None].float()
    centred = (batch.mels - (batch.mels * mask_BF1).sum(dim=1, keepdim=True) / counts_B11) * mask_BF1
    variance = centred.square().sum(dim=1, keepdim=True) / (counts_B11 - 1).clamp(min=1)
    normal = centred / torch.sqrt(variance + 1e-7)
    lengths = stacked_lengths(batch.lengths, stride)
    size = int(lengths.max())
    mask_BT = (torch.arange(size, device=lengths.device) < lengths[:, None]).long()
    padded = torch.nn.functional.pad(normal, (0, 0, 0, max(0, size * stride - normal.shape[1])))[:, : size * stride]
    return SpeechBatch(padded.reshape(len(normal), size, -1) * mask_BT[..., None], mask_BT, batch.rows)


def stacked_lengths(mel_frames: Tensor, stride: int) -> Tensor:
    """Stacked frames of so many mel frames."""
    return stacked_frames(mel_frames, stride).clamp(min=1)


class SpeechBatches:
    """Batch number `step` of an endless, repeatable sequence: epochs over rows, like lengths together."""

    def __init__(
        self,
        store: FeatureStore,
        rows: Sequence[int],
        frames: int,
        seed: int,
        needed: str = "clips",
        crew: Crew = ALONE,
    ) -> None:
        """Sets up the sequence.

        Args:
            store: Where features are.
            rows: Utterances that take part.
            frames: Padded mel frames of a batch, at most.
            seed: Of the order.
            needed: What `rows` are, for the error.
            crew: Among whom each batch is dealt.

        Raises:
            UserError: If there are no rows.
        """
        if not rows:
            raise UserError(
                f"there are no {needed} among the {len(store)} clips, so there is nothing to make batches of; "
                "change that limit or give more audio"
            )
        self.store, self.rows, self.frames, self.seed, self.crew = store, rows, frames, seed, crew
        self._plan: list[list[int]] = []
        self._epochs = 0

    def __getitem__(self, step: int) -> MelBatch:
        while step >= len(self._plan):
            self._plan += self._epoch(self._epochs)
            self._epochs += 1
        return self.collate(self.crew.share(self._plan[step]))

    def _epoch(self, number: int) -> list[list[int]]:
        rng = rng_for(self.seed, "epoch", number)
        order = sorted(self.rows, key=lambda row: self.store.lengths[row] * rng.uniform(0.9, 1.1))
        batches = list(self.in_batches(order))
        rng.shuffle(batches)
        return batches

    def in_batches(self, order: Sequence[int]) -> Iterator[list[int]]:
        """Cuts rows into batches of at most `frames` padded frames."""
        return padded_batches(order, self.store.lengths.__getitem__, self.frames)

    def collate(self, rows: list[int]) -> MelBatch:
        """Pads the features of rows."""
        lengths = torch.tensor([self.store.lengths[row] for row in rows], device=self.store.device)
        return MelBatch(self.store.padded(rows), lengths, rows)
