"""Parakeet's encoder: a FastConformer over log-mel frames, 8 of them to one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from transformers import ParakeetEncoder as HubParakeetEncoder
from transformers import PreTrainedConfig, PreTrainedModel

from speechverse.encoders.contract import FrontEnd, SpeechEncoder, length_mask
from speechverse.types import SAMPLING_RATE


class ParakeetFrontEnd(FrontEnd):
    """Log-mel frames, normalised per bin over each waveform's true frames."""

    def __init__(self, config: PreTrainedConfig, feature_extractor: Any) -> None:
        super().__init__(config, feature_extractor)
        self.frame_rate = SAMPLING_RATE / feature_extractor.hop_length / config.subsampling_factor

    def num_frames(self, num_samples: int) -> int:
        """Each halving convolution is padded so that it rounds as it does in the network."""
        frames = num_samples // self.feature_extractor.hop_length
        kernel = self.config.subsampling_conv_kernel_size
        stride = self.config.subsampling_conv_stride
        if frames < 2:  # each bin is divided by its deviation, and one frame has none
            return 0
        for _ in range(int(math.log2(self.config.subsampling_factor))):
            frames = (frames + 2 * ((kernel - 1) // 2) - kernel) // stride + 1
        return max(frames, 0)

    def _features(
        self, waveforms: Sequence[np.ndarray], frame_lengths: Tensor
    ) -> dict[str, Tensor]:
        features = self.feature_extractor(
            list(waveforms), sampling_rate=SAMPLING_RATE, return_tensors="pt"
        )
        # The extractor's last frame lies beyond the audio; its mask says so, but the network would
        # still pad around it.
        size = int(features["attention_mask"].sum(dim=1).max())
        return {
            "input_features": features["input_features"][:, :size],
            "mel_lengths": features["attention_mask"].sum(dim=1),
            "frame_lengths": frame_lengths,
        }


class ParakeetEncoder(SpeechEncoder):
    """The encoder of a Parakeet model, whichever head was trained on it."""

    front_end_class = ParakeetFrontEnd

    @classmethod
    def encoder_config(cls, config: PreTrainedConfig) -> PreTrainedConfig:
        """Parakeet models keep their encoder's configuration apart."""
        return getattr(config, "encoder_config", config)

    @classmethod
    def model_class(cls, config: PreTrainedConfig) -> type[PreTrainedModel]:
        """The encoder without a head."""
        return HubParakeetEncoder

    def _run(self, *, frame_lengths: Tensor, **inputs: Tensor) -> Any:
        features_BFM = inputs["input_features"]
        mask_BF = length_mask(inputs["mel_lengths"], features_BFM.shape[1])
        # The first convolution is not masked, and sees one frame beyond the last true one.
        features_BFM = features_BFM.masked_fill(~mask_BF[..., None], 0.0)
        return self.model(features_BFM, attention_mask=mask_BF, output_hidden_states=True)
