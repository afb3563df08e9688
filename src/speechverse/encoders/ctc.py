"""The CTC recogniser that comes with an encoder: the ASR of the fairest cascade.

Shape letters: B batch, T frames, V vocabulary, L layers, D width.
"""

from __future__ import annotations

from functools import cached_property
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import (
    MODEL_FOR_CTC_MAPPING,
    AutoConfig,
    AutoModelForCTC,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)

from speechverse.encoders.contract import SpeechEncoder, pad_rows
from speechverse.encoders.loading import load_encoder
from speechverse.encoders.recogniser import Recogniser
from speechverse.errors import CheckpointError
from speechverse.hub import loading, resolve

_HEADS = ("lm_head", "ctc_head")


class CtcRecogniser(Recogniser):
    """An encoder, a linear head over its last layer, and the pieces the head names; greedy
    decoding.

    Attributes:
        blank: Id of the CTC blank (transformers' convention: the padding token's).
    """

    def __init__(
        self,
        encoder: SpeechEncoder,
        head: nn.Module,
        tokenizer: PreTrainedTokenizerBase,
        blank: int,
    ) -> None:
        super().__init__(encoder, tokenizer)
        self.head = head.requires_grad_(False).eval()
        self.blank = blank

    def _transcribe(self, waveforms: list[np.ndarray]) -> list[str]:
        inputs = self.encoder.prepare(waveforms)
        output = self.encoder(**{name: x.to(self._device) for name, x in inputs.items()})
        return self.decode(self.head(output.hidden_states[-1]), output.lengths)

    def _read(self, layers: list[Tensor]) -> list[str]:
        hidden_BTD, lengths = pad_rows(layers)
        hidden_BTD = hidden_BTD.to(self._device, self.encoder.model.dtype)
        return self.decode(self.head(hidden_BTD), lengths)

    def decode(self, logits: Tensor, lengths: Tensor) -> list[str]:
        """Texts of logits (B, T, V) with (B,) true frames."""
        ids = greedy_ids(logits, lengths, self.blank)
        texts = self.tokenizer.batch_decode(ids, skip_special_tokens=True, **self._as_they_are)
        return [text.strip() for text in texts]

    @cached_property
    def _as_they_are(self) -> dict[str, bool]:
        """CTC tokenizers merge neighbours themselves, which would take doubled letters for one."""
        merges = "group_tokens" in signature(self.tokenizer._decode).parameters
        return {"group_tokens": False} if merges else {}

    @property
    def _device(self) -> torch.device:
        return next(self.head.parameters()).device


def greedy_ids(logits: Tensor, lengths: Tensor, blank: int) -> list[list[int]]:
    """Greedy CTC over logits (B, T, V): repeats merged, blanks dropped."""
    best = logits.argmax(dim=-1).cpu()
    rows = (
        torch.unique_consecutive(row[:length])
        for row, length in zip(best, lengths.tolist(), strict=True)
    )
    return [row[row != blank].tolist() for row in rows]


def load_ctc(name_or_path: str | Path, *, revision: str | None = None) -> CtcRecogniser:
    """Loads a CTC model (with a `lm_head` or `ctc_head`) and its tokenizer.

    Raises:
        CheckpointError: If there is no such model, head or tokenizer, or an adapter between.
    """
    resolved = resolve(name_or_path, revision)
    with loading("CTC model", resolved):
        config = AutoConfig.from_pretrained(resolved.name, revision=resolved.revision)
    if getattr(config, "add_adapter", False):
        # The encoder is loaded without it, and the head reads nothing else.
        raise CheckpointError(
            f"'{resolved.name}' has an adapter between encoder and CTC head (add_adapter), which is"
            " not supported here: its head cannot read the encoder itself; use a CTC model saved"
            " with add_adapter=False"
        )
    if type(config) not in MODEL_FOR_CTC_MAPPING or getattr(config, "vocab_size", 0) is None:
        raise _headless(resolved.name)
    with loading("CTC model", resolved):
        model, info = AutoModelForCTC.from_pretrained(
            resolved.name,
            revision=resolved.revision,
            output_loading_info=True,
            dtype=torch.float32,  # as the encoder's
        )
    name = next((name for name in _HEADS if hasattr(model, name)), None)
    if name is None or any(key.startswith(name) for key in info["missing_keys"]):
        raise _headless(resolved.name)
    with loading("tokenizer of", resolved):
        tokenizer = AutoTokenizer.from_pretrained(resolved.name, revision=resolved.revision)
    head: Any = getattr(model, name)
    return CtcRecogniser(
        load_encoder(resolved.name, revision=resolved.revision),
        head,
        tokenizer,
        blank=config.pad_token_id,
    )


def _headless(name: str) -> CheckpointError:
    return CheckpointError(
        f"'{name}' holds no CTC head ({' or '.join(_HEADS)}); only an encoder with one can"
        " transcribe"
    )
