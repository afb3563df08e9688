"""Batches of log-mel frames, for an encoder that is trained by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import BatchFeature

from speechverse.audio import load
from speechverse.data.collate import Batch, batch_of
from speechverse.data.plan import Length
from speechverse.encoders import FrontEnd
from speechverse.errors import AudioError
from speechverse.types import IGNORED, Example, Seconds

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass
class FrameCollator:
    """Makes batches to train an encoder on; what cannot be used becomes silence, as in `Collator`.

    Attributes:
        pieces: What a CTC head writes; None labels each true frame instead, for BEST-RQ.
    """

    front_end: FrontEnd
    pieces: PreTrainedTokenizerFast | None = None

    def __call__(
        self, examples: Sequence[Example], loss_weights: Sequence[float] | None = None
    ) -> Batch:
        """Loads and collates examples."""
        skipped: dict[int, str] = {}
        inputs = BatchFeature(
            self.front_end.prepare(
                [self._load(row, example, skipped) for row, example in enumerate(examples)]
            )
        )
        inputs["labels"] = self._labels(examples, inputs["frame_lengths"])
        return batch_of(inputs, examples, loss_weights, (None,) * len(examples), skipped)

    def _load(self, row: int, example: Example, skipped: dict[int, str]) -> np.ndarray:
        try:
            samples = load(example.utterance.audio).samples
            self.front_end.count_frames(samples)
            return samples
        except AudioError as error:
            skipped[row] = str(error)
            return np.zeros(example.utterance.num_samples, dtype=np.float32)

    def _labels(self, examples: Sequence[Example], lengths: Tensor) -> Tensor:
        if self.pieces is None:
            beyond = torch.arange(int(lengths.max())) >= lengths[:, None]
            return torch.zeros(beyond.shape, dtype=torch.long).masked_fill(beyond, IGNORED)
        rows = [
            torch.tensor(self.pieces(example.target)["input_ids"], dtype=torch.long)
            for example in examples
        ]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORED)


def frames_of(
    front_end: FrontEnd, longest: Seconds, pieces: PreTrainedTokenizerFast | None = None
) -> Length:
    """The length function of a batch plan, in frames of the encoder.

    It raises AudioError for a clip that is too long, too short, or too short for CTC's target.
    """

    def length(example: Example) -> int:
        num_samples = example.utterance.num_samples
        frames = front_end.check_length(num_samples, longest, "that encoder.max_seconds allows")
        if pieces is not None:
            refuse_unaligned(example.target, pieces(example.target)["input_ids"], frames, "frames")
        return frames

    return length


def refuse_unaligned(target: str, ids: Sequence[int], places: int, what: str) -> None:
    """Refuses a target that CTC cannot write along so many places: it takes one for each piece, and
    a blank between equal neighbours.

    Raises:
        AudioError: If there are too few.
    """
    needed = len(ids) + sum(a == b for a, b in pairwise(ids))
    if needed > places:
        raise AudioError(f"{places} {what} are too few for CTC to write '{target}': {needed}")
