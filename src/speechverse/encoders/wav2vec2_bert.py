"""Encoders over stacked log-mel frames: w2v-BERT and the BEST-RQ Conformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import (
    PreTrainedConfig,
    PreTrainedModel,
    Wav2Vec2BertModel,
)

from speechverse.encoders.contract import FrontEnd, SpeechEncoder, length_mask, pad_rows
from speechverse.types import SAMPLING_RATE

_FRAME_LENGTH, _HOP_LENGTH, _FFT_LENGTH = 400, 160, 512
_MEL_FLOOR = 1.192092955078125e-07
_PREEMPHASIS = 0.97


class Wav2Vec2BertFrontEnd(FrontEnd):
    """Kaldi's log-mel filterbank, normalised per bin and waveform, `stride` frames stacked."""

    def __init__(self, config: PreTrainedConfig, feature_extractor: Any) -> None:
        super().__init__(config, feature_extractor)
        self.stride: int = feature_extractor.stride
        self.frame_rate = SAMPLING_RATE / _HOP_LENGTH / self.stride
        self._mel_filters = torch.from_numpy(feature_extractor.mel_filters).float()
        self._window = torch.from_numpy(feature_extractor.window).float()

    def num_frames(self, num_samples: int) -> int:
        """A last stack counts if it holds two true frames or more (the extractor's own rule)."""
        mel_frames = max((num_samples - _FRAME_LENGTH) // _HOP_LENGTH + 1, 0)
        return (mel_frames + self.stride - min(self.stride, 2)) // self.stride

    def _features(
        self, waveforms: Sequence[np.ndarray], frame_lengths: Tensor
    ) -> dict[str, Tensor]:
        size = int(frame_lengths.max())
        padding = float(self.feature_extractor.padding_value)
        mels = [normalized(self.log_mel(torch.from_numpy(waveform))) for waveform in waveforms]
        mels_BFM, _ = pad_rows([mel[: size * self.stride] for mel in mels], padding)
        missing = size * self.stride - mels_BFM.shape[1]
        mels_BFM = torch.nn.functional.pad(mels_BFM, (0, 0, 0, missing), value=padding)
        return {
            "input_features": mels_BFM.reshape(len(waveforms), size, -1),
            "frame_lengths": frame_lengths,
        }

    def log_mel(self, waveform: Tensor) -> Tensor:
        """Log-mel frames of one waveform: (S,) → (F, M), 100 frames a second.

        `normalized`, they are the numbers of `SeamlessM4TFeatureExtractor`, about ten times as
        fast, since all frames go at once.
        """
        frames_FW = (waveform * 2**15).unfold(0, _FRAME_LENGTH, _HOP_LENGTH)
        frames_FW = frames_FW - frames_FW.mean(dim=1, keepdim=True)
        # Kaldi's pre-emphasis takes the sample before the first to equal the first.
        previous_FW = torch.cat([frames_FW[:, :1], frames_FW[:, :-1]], dim=1)
        spectrum = torch.fft.rfft(
            (frames_FW - _PREEMPHASIS * previous_FW) * self._window, n=_FFT_LENGTH
        )
        # Several times faster than abs() of complex numbers.
        power = spectrum.real.square() + spectrum.imag.square()
        return (power @ self._mel_filters).clamp(min=_MEL_FLOOR).log()


def normalized(mel_FM: Tensor) -> Tensor:
    """Log-mel frames with mean 0 and variance 1 in each bin: (F, M) → (F, M)."""
    centred_FM = mel_FM - mel_FM.mean(dim=0)
    variance_M = centred_FM.square().sum(dim=0) / max(len(mel_FM) - 1, 1)
    return centred_FM / torch.sqrt(variance_M + 1e-7)


class Wav2Vec2BertEncoder(SpeechEncoder):
    """w2v-BERT or a BEST-RQ Conformer; its convolutions and attention are masked."""

    front_end_class = Wav2Vec2BertFrontEnd

    @classmethod
    def model_class(cls, config: PreTrainedConfig) -> type[PreTrainedModel]:
        """The bare Conformer."""
        return Wav2Vec2BertModel

    def _run(self, *, frame_lengths: Tensor, **inputs: Tensor) -> Any:
        features_BTC = inputs["input_features"]
        mask_BT = length_mask(frame_lengths, features_BTC.shape[1]).long()
        return self.model(features_BTC, attention_mask=mask_BT, output_hidden_states=True)
