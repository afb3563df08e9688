"""What the encoder is taught: one body under the heads of BEST-RQ and, where there are transcripts, a CTC head.

Shapes: B batch, T stacked frames (25 Hz), F width of a stacked frame, D width of the body, V pieces, U target pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2BertModel,
)

from speechverse.encoders.best_rq import BestRqConfig, BestRqForPreTraining, BestRqOutput
from speechverse.encoders.ctc_loss import ctc_nll
from speechverse.foundations.compute import ON_CPU, Compute
from speechverse.foundations.features import MEL_BINS, SpeechBatch
from speechverse.foundations.recipe import ConformerShape, SpecAugment

Targets = Sequence[Sequence[int]]


class Objectives(nn.Module):
    """The body, the CTC head that is kept, and the BEST-RQ heads that only help it to learn."""

    def __init__(
        self,
        shape: ConformerShape,
        objective: BestRqConfig,
        tokenizer: PreTrainedTokenizerFast | None,
        compute: Compute = ON_CPU,
    ) -> None:
        """Builds all of it with new weights.

        Args:
            shape: Of the body.
            objective: Of BEST-RQ.
            tokenizer: Of the CTC head's pieces; None for BEST-RQ alone, without any other head.
            compute: Where and how precisely the passes are computed; the weights are drawn on the CPU.
        """
        super().__init__()
        self.compute = compute
        config = body_config(shape, tokenizer)
        self.ctc: Any = None if tokenizer is None else Wav2Vec2BertForCTC(config)
        body = Wav2Vec2BertModel(config) if self.ctc is None else self.ctc.base_model
        _xavier(body)
        self.best_rq = BestRqForPreTraining(body, objective)
        self.to(compute.device)

    @property
    def body(self) -> PreTrainedModel:
        """What all objectives share."""
        return self.best_rq.body

    def masked_prediction(self, batch: SpeechBatch, generator: torch.Generator) -> BestRqOutput:
        """The self-supervised pass."""
        features, mask = self.compute.padded(batch.features, batch.mask)
        with self.compute.autocast():
            return self.best_rq(features, mask, generator)

    def ctc_loss(self, batch: SpeechBatch, targets: Targets) -> Tensor:
        """The loss a target piece of one pass."""
        features, mask = self.compute.padded(batch.features, batch.mask)
        with self.compute.autocast():
            logits = self.ctc(features, attention_mask=mask).logits
        return ctc_loss(logits, mask, targets)


def _xavier(body: nn.Module) -> None:
    """Instead of transformers' std of 0.02; part of what learned best here, not shown to be a cause."""
    for module in body.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)


def body_config(shape: ConformerShape, tokenizer: PreTrainedTokenizerFast | None) -> Wav2Vec2BertConfig:
    """The body in transformers' words; the CTC blank is the padding piece."""
    pieces = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id} if tokenizer else {}
    dropouts = ("hidden_dropout", "activation_dropout", "attention_dropout", "conformer_conv_dropout", "final_dropout")
    return Wav2Vec2BertConfig(
        **pieces,
        **shape.model_dump(exclude={"stride", "dropout"}),
        **dict.fromkeys(dropouts, shape.dropout),
        feature_projection_input_dim=MEL_BINS * shape.stride,
        feat_proj_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
        mask_time_prob=0.0,
        bos_token_id=None,
        eos_token_id=None,
    )


def ctc_loss(logits: Tensor, mask: Tensor, targets: Targets) -> Tensor:
    """CTC loss a target unit (blank: id 0); a row without targets is all blank, one that cannot be aligned counts 0."""
    return ctc_nll(logits, mask.sum(dim=1), targets).sum() / max(1, sum(map(len, targets)))


def frames_needed(ids: Sequence[int]) -> int:
    """Frames that CTC needs to write pieces: one each, and a blank between equal neighbours."""
    return len(ids) + sum(a == b for a, b in pairwise(ids))


def spec_augment(batch: SpeechBatch, settings: SpecAugment, generator: torch.Generator) -> SpeechBatch:
    """Hides spans of time and bands of mel bins, each row its own (SpecAugment, arXiv 1904.08779)."""
    rows, frames = batch.mask.shape
    lengths = batch.mask.sum(dim=1).cpu()
    times = _spans(lengths, frames, settings.time_spans, settings.time_width, generator)
    bands = _spans(torch.full((rows,), MEL_BINS), MEL_BINS, settings.mel_spans, settings.mel_width, generator)
    shape = (rows, frames, -1, MEL_BINS)
    hidden = (times[:, :, None, None] | bands[:, None, None, :]).to(batch.features.device)
    features = batch.features.view(shape).masked_fill(hidden, 0.0).view(batch.features.shape)
    return batch._replace(features=features)


def _spans(lengths: Tensor, size: int, number: int, width: int, generator: torch.Generator) -> Tensor:
    """(B, size) true within `number` spans a row, each up to `width` wide and a quarter of the row's length."""
    widest = torch.minimum(torch.tensor(width), lengths // 4)[:, None]
    widths = (torch.rand(len(lengths), number, generator=generator) * (widest + 1)).long()
    starts = (torch.rand(len(lengths), number, generator=generator) * (lengths[:, None] - widths + 1)).long()
    places = torch.arange(size)
    inside = (places >= starts[..., None]) & (places < (starts + widths)[..., None])
    return inside.any(dim=1)
