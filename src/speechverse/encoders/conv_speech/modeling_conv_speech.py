"""A speech encoder of depthwise convolutions and feed-forward parts over stacked log-mel frames.

A Conformer without attention, whose residual stream is normalised only in front of each part and once at the end. Why
not transformers' Conformer, which normalises the stream itself after every layer: at this size subword CTC left its
flat start much sooner without that (docs/lab-notes.md).

Shapes: B batch, T frames, F width of a stacked frame, D width of the hidden states, V pieces.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel, initialization
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput
from transformers.utils import can_return_tuple

from speechverse.encoders.conv_speech.configuration_conv_speech import ConvSpeechConfig
from speechverse.encoders.ctc_loss import ctc_nll


class FeatureProjection(nn.Module):
    """Stacked frames (B, T, F) to the stream (B, T, D)."""

    def __init__(self, config: ConvSpeechConfig) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.feature_projection_input_dim, config.layer_norm_eps)
        self.projection = nn.Linear(config.feature_projection_input_dim, config.hidden_size)

    def forward(self, frames_BTF: Tensor, mask_BT1: Tensor) -> Tensor:
        """Returns (B, T, D)."""
        return self.projection(self.layer_norm(frames_BTF))


class MelConvolutions(nn.Module):
    """Stacked frames (B, T, F), taken apart again, to the stream (B, T, D).

    Each convolution but the first halves the rate.
    """

    def __init__(self, config: ConvSpeechConfig) -> None:
        super().__init__()
        self.num_mel_bins, width = config.num_mel_bins, config.mel_conv_width
        halvings = int(config.stride).bit_length() - 1
        widths = [config.num_mel_bins, *[width] * halvings, config.hidden_size]
        self.layers = nn.ModuleList(
            nn.Conv1d(a, b, kernel_size=5, stride=2 if number else 1, padding=2)
            for number, (a, b) in enumerate(pairwise(widths))
        )

    def forward(self, frames_BTF: Tensor, mask_BT1: Tensor) -> Tensor:
        """Returns (B, T, D); what lies beyond a row's length is silenced before each convolution."""
        rows, frames, _ = frames_BTF.shape
        hidden_BCT = frames_BTF.reshape(rows, -1, self.num_mel_bins).transpose(1, 2)
        for number, layer in enumerate(self.layers):
            mask_B1T = mask_BT1.repeat_interleave(hidden_BCT.shape[2] // frames, dim=1).transpose(1, 2)
            hidden_BCT = layer((functional.gelu(hidden_BCT) if number else hidden_BCT) * mask_B1T)
        return hidden_BCT.transpose(1, 2)


class ConvSpeechLayer(nn.Module):
    """Adds a depthwise convolution over time, then a feed-forward part, to the stream."""

    def __init__(self, config: ConvSpeechConfig) -> None:
        super().__init__()
        width, kernel = config.hidden_size, config.conv_kernel_size
        self.conv_layer_norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.depthwise_conv = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.pointwise_conv = nn.Linear(width, width)
        self.ffn_layer_norm = nn.LayerNorm(width, config.layer_norm_eps)
        self.intermediate = nn.Linear(width, config.intermediate_size)
        self.output = nn.Linear(config.intermediate_size, width)
        self.dropout = nn.Dropout(config.hidden_dropout)

    def forward(self, hidden_BTD: Tensor, mask_BT1: Tensor) -> Tensor:
        """Returns (B, T, D); what lies beyond a row's length is hidden from the convolution."""
        normed_BTD = self.conv_layer_norm(hidden_BTD) * mask_BT1
        mixed_BTD = self.depthwise_conv(normed_BTD.transpose(1, 2)).transpose(1, 2)
        hidden_BTD = hidden_BTD + self.dropout(self.pointwise_conv(functional.gelu(mixed_BTD)))
        inner_BTI = functional.gelu(self.intermediate(self.ffn_layer_norm(hidden_BTD)))
        return hidden_BTD + self.dropout(self.output(inner_BTI))


class ConvSpeechLayers(nn.Module):
    """The blocks and the norm behind them."""

    def __init__(self, config: ConvSpeechConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ConvSpeechLayer(config) for _ in range(config.num_hidden_layers))
        self.layer_norm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)

    def forward(self, hidden_BTD: Tensor, mask_BT1: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Returns the last, normalised (B, T, D), and the stream before each block with that last one behind it."""
        states: list[Tensor] = []
        for layer in self.layers:
            states.append(hidden_BTD)
            hidden_BTD = layer(hidden_BTD, mask_BT1)
        last_BTD = self.layer_norm(hidden_BTD)
        return last_BTD, (*states, last_BTD)


class ConvSpeechPreTrainedModel(PreTrainedModel):
    """What both models share."""

    config_class = ConvSpeechConfig
    base_model_prefix = "conv_speech"
    main_input_name = "input_features"
    _no_split_modules = ("ConvSpeechLayer",)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """The start that torch gives, which transformers' usual std of 0.02 would replace."""
        if isinstance(module, nn.Linear | nn.Conv1d):
            initialization.kaiming_uniform_(module.weight, a=math.sqrt(5))
            if module.bias is not None:
                bound = 1 / math.sqrt(module.weight[0].numel())
                initialization.uniform_(module.bias, -bound, bound)
        elif isinstance(module, nn.LayerNorm):
            initialization.ones_(module.weight)
            initialization.zeros_(module.bias)


class ConvSpeechModel(ConvSpeechPreTrainedModel):
    """The bare encoder."""

    def __init__(self, config: ConvSpeechConfig) -> None:
        super().__init__(config)
        self.feature_projection = (MelConvolutions if config.mel_conv_width else FeatureProjection)(config)
        self.encoder = ConvSpeechLayers(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_features: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """Encodes stacked frames.

        Args:
            input_features: (B, T, F).
            attention_mask: (B, T), 1 on true frames; None takes all for true.
            output_hidden_states: Whether to return the stream before each block and the last, normalised state as well;
                None asks the configuration.
            kwargs: Ignored; for what trainers and pipelines hand to every model.
        """
        if attention_mask is None:
            attention_mask = torch.ones(input_features.shape[:2], device=input_features.device)
        mask_BT1 = attention_mask[..., None].to(input_features.dtype)
        last, states = self.encoder(self.feature_projection(input_features, mask_BT1), mask_BT1)
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        return BaseModelOutput(last_hidden_state=last, hidden_states=states if output_hidden_states else None)


class ConvSpeechForCTC(ConvSpeechPreTrainedModel):
    """The encoder with a linear CTC head; the blank is the padding piece."""

    def __init__(self, config: ConvSpeechConfig) -> None:
        super().__init__(config)
        if config.vocab_size is None:
            raise ValueError("ConvSpeechForCTC needs a vocab_size in its configuration")
        self.conv_speech = ConvSpeechModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_features: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> CausalLMOutput:
        """Scores pieces; see `ConvSpeechModel.forward`.

        Args:
            input_features: (B, T, F).
            attention_mask: (B, T).
            labels: (B, U) pieces, -100 beyond a row's target; with them, `loss` is CTC's per piece.
            output_hidden_states: As there.
            kwargs: Ignored.

        Returns:
            Logits (B, T, V).
        """
        outputs = self.conv_speech(input_features, attention_mask, output_hidden_states)
        logits = self.lm_head(outputs.last_hidden_state)
        loss = None if labels is None else self._loss(logits, attention_mask, labels)
        return CausalLMOutput(loss=loss, logits=logits, hidden_states=outputs.hidden_states)

    def _loss(self, logits: Tensor, attention_mask: Tensor | None, labels: Tensor) -> Tensor:
        rows, frames = logits.shape[:2]
        lengths = torch.full((rows,), frames) if attention_mask is None else attention_mask.sum(dim=1).long()
        targets = [row[row >= 0].tolist() for row in labels]
        sizes = (labels >= 0).sum(dim=1).clamp(min=1)
        return (ctc_nll(logits, lengths, targets, self.config.pad_token_id) / sizes).mean()
