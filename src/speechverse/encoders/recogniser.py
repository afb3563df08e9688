"""What every recogniser over an encoder has in common: texts of clips or of kept encoder outputs.

Shape letters: L layers, T frames, D width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence, Sized
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from speechverse.batching import in_batches
from speechverse.encoders.contract import SpeechEncoder

Item = TypeVar("Item", bound=Sized)
Made = TypeVar("Made")

_BATCH = 16


class Recogniser(nn.Module, ABC):
    """Writes down what is said, by what an encoder's last layer gives."""

    def __init__(self, encoder: SpeechEncoder, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.encoder, self.tokenizer = encoder, tokenizer
        self.encoder.last_layer_only = True

    @torch.no_grad()
    def transcribe(self, waveforms: Sequence[np.ndarray], batch_size: int = _BATCH) -> list[str]:
        """Transcribes mono 16 kHz samples; clips of like length go together, and the order stays.

        Raises:
            AudioError: If a clip is empty, too long, too short or not mono.
        """
        return by_length(waveforms, batch_size, self._transcribe)

    @torch.no_grad()
    def transcribe_features(self, features: Sequence[Tensor]) -> list[str]:
        """Transcribes kept encoder outputs (L, T, D), of which only the last layer is read."""
        return by_length([layers[-1] for layers in features], _BATCH, self._read)

    @abstractmethod
    def _transcribe(self, waveforms: list[np.ndarray]) -> list[str]: ...

    @abstractmethod
    def _read(self, layers: list[Tensor]) -> list[str]:
        """Texts of last layers, (T, D) each."""


def by_length(
    items: Sequence[Item], batch_size: int, transcribe: Callable[[list[Item]], list[Made]]
) -> list[Made]:
    """What is made of each item; those of like length go together, and the order stays."""
    order = sorted(range(len(items)), key=lambda row: len(items[row]))
    made = dict[int, Made]()
    for rows in in_batches(order, batch_size):
        made.update(zip(rows, transcribe([items[row] for row in rows]), strict=True))
    return [made[row] for row in range(len(items))]
