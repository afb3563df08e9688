"""Encoders over raw samples: wav2vec 2.0, HuBERT and WavLM.

Shape letters: B batch, S samples, C channels, T frames.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    HubertModel,
    PreTrainedConfig,
    PreTrainedModel,
    Wav2Vec2Model,
    WavLMModel,
)

from speechverse.encoders.contract import FrontEnd, SpeechEncoder, length_mask, pad_rows
from speechverse.types import SAMPLING_RATE

_MODELS: dict[str, type[PreTrainedModel]] = {
    "wav2vec2": Wav2Vec2Model,
    "hubert": HubertModel,
    "wavlm": WavLMModel,
}


class Wav2Vec2FrontEnd(FrontEnd):
    """Samples, normalised over each waveform where the model was trained so."""

    def __init__(self, config: PreTrainedConfig, feature_extractor: Any) -> None:
        super().__init__(config, feature_extractor)
        self.frame_rate = SAMPLING_RATE / float(np.prod(config.conv_stride))

    def num_frames(self, num_samples: int) -> int:
        """The convolutions are not padded: each gives (n - kernel) // stride + 1."""
        for kernel, stride in zip(self.config.conv_kernel, self.config.conv_stride, strict=True):
            num_samples = (num_samples - kernel) // stride + 1
        return max(num_samples, 0)

    def _features(
        self, waveforms: Sequence[np.ndarray], frame_lengths: Tensor
    ) -> dict[str, Tensor]:
        if self.feature_extractor.do_normalize:
            waveforms = [(w - w.mean()) / np.sqrt(w.var() + 1e-7) for w in waveforms]
        input_values, audio_lengths = pad_rows(waveforms)
        return {
            "input_values": input_values,
            "audio_lengths": audio_lengths,
            "frame_lengths": frame_lengths,
        }


class Wav2Vec2Encoder(SpeechEncoder):
    """wav2vec 2.0, HuBERT or WavLM; group-norm front ends are normalised over true samples only."""

    front_end_class = Wav2Vec2FrontEnd

    def __init__(self, model: PreTrainedModel, front_end: FrontEnd) -> None:
        super().__init__(model, front_end)
        # The model is called with what its convolutions would give, so that we can run them over
        # true samples only.
        model.feature_extractor.forward = nn.Identity().forward

    @classmethod
    def model_class(cls, config: PreTrainedConfig) -> type[PreTrainedModel]:
        """One class a family."""
        return _MODELS[config.model_type]

    def _run(self, *, frame_lengths: Tensor, **inputs: Tensor) -> Any:
        input_values_BS, audio_lengths = inputs["input_values"], inputs["audio_lengths"]
        features_BCT = extract_features(
            self.model.feature_extractor.conv_layers, input_values_BS, audio_lengths
        )
        mask_BS = length_mask(audio_lengths, input_values_BS.shape[1]).long()
        with warnings.catch_warnings():
            # WavLM's own attention mixes a boolean and a float mask, and torch says so at every
            # layer.
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            return self.model(features_BCT, attention_mask=mask_BS, output_hidden_states=True)


def extract_features(
    conv_layers: Iterable[Any], input_values: Tensor, audio_lengths: Tensor
) -> Tensor:
    """Runs the convolutions so that padding changes no true frame: (B, S) → (B, C, T).

    Layer norms work on one frame; the group norm of the *base* models works over time.
    """
    hidden_BCT = input_values[:, None]
    for layer in conv_layers:
        norm = getattr(layer, "layer_norm", None)
        if not isinstance(norm, nn.GroupNorm):
            hidden_BCT = layer(hidden_BCT)
            continue
        hidden_BCT = layer.conv(hidden_BCT)
        beyond_first = audio_lengths - layer.conv.kernel_size[0]
        lengths = torch.div(beyond_first, layer.conv.stride[0], rounding_mode="floor") + 1
        hidden_BCT = layer.activation(_masked_group_norm(norm, hidden_BCT, lengths))
    return hidden_BCT


def _masked_group_norm(norm: nn.GroupNorm, hidden_BCT: Tensor, lengths: Tensor) -> Tensor:
    """A group norm with one channel a group, over each row's true positions only."""
    mask_B1T = length_mask(lengths, hidden_BCT.shape[2])[:, None]
    if bool(mask_B1T.all()):
        return F.group_norm(hidden_BCT, norm.num_groups, norm.weight, norm.bias, norm.eps)
    count_B11 = lengths[:, None, None]
    hidden = hidden_BCT.float().masked_fill(~mask_B1T, 0.0)
    mean = hidden.sum(dim=2, keepdim=True) / count_B11
    centred = (hidden - mean).masked_fill(~mask_B1T, 0.0)
    variance = centred.square().sum(dim=2, keepdim=True) / count_B11
    normalised = (centred * torch.rsqrt(variance + norm.eps)).to(hidden_BCT.dtype)
    return normalised * norm.weight[:, None] + norm.bias[:, None]
