"""What is known of the clips that an encoder is taught with, beside their sound."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from speechverse.foundations.objectives import UNKNOWN, frames_needed, spell
from speechverse.synth.accents import ACCENTS
from speechverse.synth.styles import EMOTIONS
from speechverse.types import Utterance

VOICE_CLASSES: dict[str, list[Any]] = {
    "emotion": list(EMOTIONS),
    "accent": list(ACCENTS),
    "num_speakers": [1, 2],
    "is_speech": [True, False],
}
"""Field of labels → its classes, for the heads that keep voice and tone in the encoder."""


class Supervision:
    """What is known of each clip: transcripts as pieces and letters, how it is said, which of it CTC can align."""

    def __init__(
        self,
        utterances: Sequence[Utterance],
        lengths: Sequence[int],
        tokenizer: PreTrainedTokenizerFast | None,
        fastest: float = 0.0,
    ) -> None:
        """Looks through a part of the corpus.

        Args:
            utterances: Of the part.
            lengths: Stacked frames of each.
            tokenizer: Of the pieces; None where no CTC is to come.
            fastest: Share of its frames that a clip may lose when it is played faster.
        """
        self.texts = [utterance.text or "" for utterance in utterances]
        self.ids: list[list[int]] = [[] for _ in self.texts]
        if tokenizer is not None:
            self.ids = tokenizer(self.texts, add_special_tokens=False)["input_ids"]
        self.letters = [spell(text) for text in self.texts]
        room = [(1 - fastest) * length - 1 for length in lengths]
        self.silent = [row for row, utterance in enumerate(utterances) if utterance.labels.get("is_speech") is False]
        spoken = [row for row, text in enumerate(self.texts) if text]
        alignable = [row for row in spoken if frames_needed(self.ids[row]) <= room[row]]
        self.usable = sorted([*alignable, *self.silent])
        self.infeasible = 1.0 - len(alignable) / max(1, len(spoken))
        self._labels = [utterance.labels for utterance in utterances]
        self._seconds = [utterance.duration for utterance in utterances]

    def easy(self, seconds: float) -> list[int]:
        """Rows that CTC can align, of one speaker, without noise, and no longer than `seconds`."""
        return [
            row
            for row in self.usable
            if self._labels[row].get("num_speakers") == 1
            and not self._labels[row].get("noise")
            and self._seconds[row] <= seconds
        ]

    def voices(self, rows: Sequence[int]) -> dict[str, Tensor]:
        """Field → (B,) class of each row."""
        found = {field: [self._labels[row].get(field) for row in rows] for field in VOICE_CLASSES}
        return {
            field: torch.tensor([classes.index(value) if value in classes else UNKNOWN for value in found[field]])
            for field, classes in VOICE_CLASSES.items()
        }
