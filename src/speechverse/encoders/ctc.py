"""The CTC recogniser that comes with an encoder: the ASR of the fairest cascade.

Shape letters: B batch, T frames, V vocabulary, L layers, D width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCTC, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase

from speechverse.encoders.contract import SpeechEncoder, pad_rows
from speechverse.encoders.loading import load_encoder
from speechverse.errors import CheckpointError
from speechverse.hub import loading, resolve

_HEADS = ("lm_head", "ctc_head")


class CtcRecogniser(nn.Module):
    """An encoder, a linear head over its last layer, and the pieces the head names; greedy decoding.

    Attributes:
        encoder: The encoder behind the contract, so batches change nothing here either.
        head: Logits over the vocabulary.
        tokenizer: Pieces to text.
        blank: Id of the CTC blank (transformers' convention: the padding token's).
    """

    def __init__(self, encoder: SpeechEncoder, head: nn.Module, tokenizer: PreTrainedTokenizerBase, blank: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.encoder.last_layer_only = True
        self.head = head.requires_grad_(False).eval()
        self.tokenizer = tokenizer
        self.blank = blank

    @torch.no_grad()
    def transcribe(self, waveforms: Sequence[np.ndarray], batch_size: int = 16) -> list[str]:
        """Transcribes mono 16 kHz samples; clips of like length go together, and the order stays.

        Raises:
            AudioError: If a clip is empty, too short or not mono.
        """
        texts = [""] * len(waveforms)
        for rows in batches_by_length([len(w) for w in waveforms], batch_size):
            inputs = self.encoder.prepare([waveforms[row] for row in rows])
            output = self.encoder(**{name: x.to(self._device) for name, x in inputs.items()})
            decoded = self.decode(self.head(output.hidden_states[-1]), output.lengths)
            for row, text in zip(rows, decoded, strict=True):
                texts[row] = text
        return texts

    @torch.no_grad()
    def transcribe_features(self, features: Sequence[Tensor], batch_size: int = 64) -> list[str]:
        """Transcribes encoder outputs of shape (L, T, D) that were kept; only the last layer is read."""
        texts = [""] * len(features)
        for rows in batches_by_length([feature.shape[1] for feature in features], batch_size):
            hidden_BTD, lengths = pad_rows([features[row][-1] for row in rows])
            logits = self.head(hidden_BTD.to(self._device, self.encoder.model.dtype))
            for row, text in zip(rows, self.decode(logits, lengths), strict=True):
                texts[row] = text
        return texts

    def decode(self, logits: Tensor, lengths: Tensor) -> list[str]:
        """The likeliest piece of each frame, repeats merged and blanks dropped, as text.

        Args:
            logits: Shape (B, T, V).
            lengths: True frames of each row, shape (B,).
        """
        ids = greedy_ids(logits, lengths, self.blank)
        return [text.strip() for text in self.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    @property
    def _device(self) -> torch.device:
        return next(self.head.parameters()).device


def greedy_ids(logits: Tensor, lengths: Tensor, blank: int) -> list[list[int]]:
    """Greedy CTC: the best id of each true frame, repeats merged, blanks dropped.

    Args:
        logits: Shape (B, T, V).
        lengths: True frames of each row, shape (B,).
        blank: Id of the blank.
    """
    best = logits.argmax(dim=-1).cpu()
    rows = (torch.unique_consecutive(row[:length]) for row, length in zip(best, lengths.tolist(), strict=True))
    return [row[row != blank].tolist() for row in rows]


def load_ctc(name_or_path: str | Path, *, revision: str | None = None) -> CtcRecogniser:
    """Loads a CTC model (with a `lm_head` or `ctc_head`) and its tokenizer from one folder in the hub's format.

    Args:
        name_or_path: A built-in name, a local folder, or a hub id.
        revision: The hub revision.

    Raises:
        CheckpointError: If there is no such model, head or tokenizer, or an adapter stands before the head.
    """
    resolved = resolve(name_or_path, revision)
    with loading("CTC model", resolved):
        config = AutoConfig.from_pretrained(resolved.name, revision=resolved.revision)
    _refuse_adapter(config, resolved.name)
    if getattr(config, "vocab_size", 0) is None:
        raise _headless(resolved.name)
    with loading("CTC model", resolved):
        model, info = AutoModelForCTC.from_pretrained(
            resolved.name, revision=resolved.revision, output_loading_info=True
        )
        tokenizer = AutoTokenizer.from_pretrained(resolved.name, revision=resolved.revision)
    name = next((name for name in _HEADS if hasattr(model, name)), None)
    if name is None or any(key.startswith(name) for key in info["missing_keys"]):
        raise _headless(resolved.name)
    head: Any = getattr(model, name)
    return CtcRecogniser(
        load_encoder(resolved.name, revision=resolved.revision), head, tokenizer, blank=config.pad_token_id
    )


def _refuse_adapter(config: PreTrainedConfig, name: str) -> None:
    """The encoder is loaded without its adapter, and a head trained on an adapter reads nothing else."""
    if getattr(config, "add_adapter", False):
        raise CheckpointError(
            f"'{name}' has an adapter between encoder and CTC head (add_adapter), which is not supported here: "
            "its head cannot read the encoder itself; use a CTC model saved with add_adapter=False"
        )


def _headless(name: str) -> CheckpointError:
    return CheckpointError(
        f"'{name}' holds no CTC head ({' or '.join(_HEADS)}); only an encoder with one can transcribe"
    )


def batches_by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Row numbers in batches of like length, the shortest first."""
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
