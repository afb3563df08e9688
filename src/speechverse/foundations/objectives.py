"""What the encoder is taught: one body under the CTC head that is kept, and under heads that only help it to learn.

Shapes: B batch, T stacked frames (25 Hz), D width of the body, V pieces, U target units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoModel,
    AutoModelForCTC,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Wav2Vec2BertConfig,
)

from speechverse.encoders import mean_and_deviation
from speechverse.encoders.best_rq import BestRqConfig, BestRqForPreTraining, BestRqOutput
from speechverse.encoders.conv_speech import ConvSpeechConfig
from speechverse.encoders.ctc_loss import ctc_nll
from speechverse.foundations.compute import ON_CPU, Compute
from speechverse.foundations.features import MEL_BINS, SpeechBatch
from speechverse.foundations.recipe import ConformerShape, EncoderShape

LETTERS = "abcdefghijklmnopqrstuvwxyz'"
UNKNOWN = -100
"""Label of a clip that has none."""

Targets = Sequence[Sequence[int]]


class Objectives(nn.Module):
    """The body, the CTC head, the BEST-RQ heads, a head over letters, and heads over how and by whom it is said."""

    def __init__(
        self,
        shape: EncoderShape,
        objective: BestRqConfig,
        tokenizer: PreTrainedTokenizerFast | None,
        voice: Mapping[str, int],
        compute: Compute = ON_CPU,
    ) -> None:
        """Builds all of it with new weights.

        Args:
            shape: Of the body.
            objective: Of BEST-RQ.
            tokenizer: Of the CTC head's pieces; None for BEST-RQ alone, without any other head.
            voice: Field of labels → number of classes.
            compute: Where and how precisely the passes are computed; the weights are drawn on the CPU.
        """
        super().__init__()
        self.compute = compute
        config = body_config(shape, tokenizer)
        whole: Any = (AutoModel if tokenizer is None else AutoModelForCTC).from_config(config)
        self.ctc: Any = None if tokenizer is None else whole
        body = whole.base_model
        if isinstance(shape, ConformerShape):
            _start_conformer(body)
        if tokenizer is not None:
            self.letters = nn.Linear(shape.hidden_size, 1 + len(LETTERS))
            self.voice = nn.ModuleDict({field: nn.Linear(2 * shape.hidden_size, size) for field, size in voice.items()})
        self.best_rq = BestRqForPreTraining(body, objective)
        self.to(compute.device)

    @property
    def body(self) -> PreTrainedModel:
        """What all objectives share."""
        return self.best_rq.body

    def named(self, batch: SpeechBatch, generator: torch.Generator) -> BestRqOutput:
        """The self-supervised pass."""
        features, mask = self.compute.padded(batch.features, batch.mask)
        with self.compute.autocast():
            return self.best_rq(features, mask, generator)

    def ctc_losses(
        self,
        batch: SpeechBatch,
        pieces: Targets,
        spelled: Targets,
        voice: Mapping[str, Tensor],
        letters_layer: int,
        voice_layer: int,
    ) -> dict[str, Tensor]:
        """Losses of one pass: `ctc` a piece from the top, `letters` a letter and `voice` a clip from layers below.

        Args:
            batch: What is heard.
            pieces: Of each row.
            spelled: Letters of each row.
            voice: Field → (B,) class of each row, or `UNKNOWN`.
            letters_layer: The layer that the head over letters reads, counted from 1.
            voice_layer: The layer that the heads over the voice read.
        """
        features, mask = self.compute.padded(batch.features, batch.mask)
        with self.compute.autocast():
            output = self.ctc(features, attention_mask=mask, output_hidden_states=True)
            letter_logits = self.letters(output.hidden_states[letters_layer])
        pooled = mean_and_deviation(output.hidden_states[voice_layer].float(), mask.sum(dim=1))
        named = [
            functional.cross_entropy(self.voice[field](pooled), labels.to(pooled.device), ignore_index=UNKNOWN)
            for field, labels in voice.items()
            if (labels != UNKNOWN).any()
        ]
        return {
            "ctc": ctc_loss(output.logits, mask, pieces),
            "letters": ctc_loss(letter_logits, mask, spelled),
            "voice": torch.stack(named).mean() if named else output.logits.new_zeros(()),
        }


def _start_conformer(body: nn.Module) -> None:
    """Xavier weights instead of transformers' std of 0.02; part of what learned best here, not shown to be a cause."""
    for module in body.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)


def body_config(shape: EncoderShape, tokenizer: PreTrainedTokenizerFast | None) -> PreTrainedConfig:
    """The body in transformers' words; the CTC blank is the padding piece."""
    pieces = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id} if tokenizer else {}
    common: dict[str, Any] = {
        **pieces,
        "feature_projection_input_dim": MEL_BINS * shape.stride,
        **shape.model_dump(exclude={"body", "stride", "dropout"}),
    }
    if not isinstance(shape, ConformerShape):
        return ConvSpeechConfig(**common, hidden_dropout=shape.dropout)
    dropouts = ("hidden_dropout", "activation_dropout", "attention_dropout", "conformer_conv_dropout", "final_dropout")
    return Wav2Vec2BertConfig(
        **common,
        **dict.fromkeys(dropouts, shape.dropout),
        feat_proj_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
        mask_time_prob=0.0,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id if tokenizer else None,
    )


def ctc_loss(logits: Tensor, mask: Tensor, targets: Targets) -> Tensor:
    """CTC loss a target unit (blank: id 0); a row without targets is all blank, one that cannot be aligned counts 0."""
    return ctc_nll(logits, mask.sum(dim=1), targets).sum() / max(1, sum(map(len, targets)))


def spell(text: str) -> list[int]:
    """Letters of a text as ids from 1, without spaces and with doubles taken once, which saves CTC the frames."""
    letters = [letter for letter, _ in groupby(letter for letter in text if letter in LETTERS)]
    return [1 + LETTERS.index(letter) for letter in letters]


def frames_needed(ids: Sequence[int]) -> int:
    """Frames that CTC needs to write pieces: one each, and a blank between equal neighbours."""
    return len(ids) + sum(a == b for a, b in pairwise(ids))
