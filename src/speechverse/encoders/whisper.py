"""Whisper's encoder: a fixed window, so longer audio is refused, never cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder as HubWhisperEncoder

from speechverse.encoders.contract import FrontEnd, SpeechEncoder
from speechverse.types import SAMPLING_RATE

_CONV_STRIDE = 2


class WhisperFrontEnd(FrontEnd):
    """Whisper's log-mel spectrogram of the audio padded with silence to the window."""

    def __init__(self, config: PreTrainedConfig, feature_extractor: Any) -> None:
        super().__init__(config, feature_extractor)
        self._samples_per_frame = feature_extractor.hop_length * _CONV_STRIDE
        self.frame_rate = SAMPLING_RATE / self._samples_per_frame
        self.max_seconds = config.max_source_positions * self._samples_per_frame / SAMPLING_RATE

    def num_frames(self, num_samples: int) -> int:
        """Frames that hold any true sample; the silence behind them is left out."""
        return -(-num_samples // self._samples_per_frame)

    def _features(self, waveforms: Sequence[np.ndarray], frame_lengths: Tensor) -> dict[str, Tensor]:
        window = self.config.max_source_positions * self._samples_per_frame
        features = self.feature_extractor(
            list(waveforms), sampling_rate=SAMPLING_RATE, max_length=window, return_tensors="pt"
        )
        return {"input_features": features["input_features"], "frame_lengths": frame_lengths}


class WhisperEncoder(SpeechEncoder):
    """The encoder half of a Whisper model."""

    front_end_class = WhisperFrontEnd
    key_mapping = {r"^(model\.)?encoder\.": ""}

    @classmethod
    def model_class(cls, config: PreTrainedConfig) -> type[PreTrainedModel]:
        """The encoder without the decoder."""
        return HubWhisperEncoder

    @classmethod
    def default_feature_extractor(cls, config: PreTrainedConfig) -> WhisperFeatureExtractor:
        """As many mel bins as the network takes, over its window."""
        seconds = config.max_source_positions * _CONV_STRIDE // 100
        return WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=seconds)

    @property
    def num_layers(self) -> int:
        """Layers of the encoder half."""
        return self.model.config.encoder_layers

    @property
    def width(self) -> int:
        """Width of the hidden states."""
        return self.model.config.d_model

    def _run(self, *, frame_lengths: Tensor, **inputs: Tensor) -> Any:
        outputs = self.model(inputs["input_features"], output_hidden_states=True)
        size = int(frame_lengths.max())
        outputs.last_hidden_state = outputs.last_hidden_state[:, :size]
        outputs.hidden_states = tuple(hidden[:, :size] for hidden in outputs.hidden_states)
        return outputs
