"""Whisper's encoder: it hears a fixed window, padded with silence; longer audio is refused, never
cut.

Shape letters: B batch, M mel bins, S samples, T frames, D width of the encoder.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoder as HubWhisperEncoder

from speechverse.encoders.contract import FrontEnd, SpeechEncoder
from speechverse.types import SAMPLING_RATE

_CONV_STRIDE = 2
WINDOW_SECONDS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30)
"""What a clip is padded to where the window fits it: few, so that clips of a batch often share one.
"""
_TRAILING_SILENCE = 0.2
"""Seconds of silence that a fitting window keeps behind a clip: the last word is heard to its end.
"""


class WhisperFrontEnd(FrontEnd):
    """Whisper's log-mel spectrogram of the audio padded with silence to a window.

    The window follows from the clip alone ("fit"), or is that of Whisper's training ("full").
    """

    def __init__(self, config: PreTrainedConfig, feature_extractor: Any) -> None:
        super().__init__(config, feature_extractor)
        self._samples_per_frame = feature_extractor.hop_length * _CONV_STRIDE
        self._most_frames = config.max_source_positions
        self.frame_rate = SAMPLING_RATE / self._samples_per_frame
        self.max_seconds = self._most_frames * self._samples_per_frame / SAMPLING_RATE

    def num_frames(self, num_samples: int) -> int:
        """Frames that hold any true sample; the silence behind them is left out."""
        return -(-num_samples // self._samples_per_frame)

    def window_frames(self, num_samples: int) -> int:
        """Frames that the network runs over for a clip of so many samples."""
        if self.window == "full":
            return self._most_frames
        seconds = num_samples / SAMPLING_RATE + _TRAILING_SILENCE
        fitting = next((size for size in WINDOW_SECONDS if size >= seconds), math.inf)
        return round(min(fitting * self.frame_rate, self._most_frames))

    def _features(
        self, waveforms: Sequence[np.ndarray], frame_lengths: Tensor
    ) -> dict[str, Tensor]:
        windows_B = torch.tensor([self.window_frames(len(waveform)) for waveform in waveforms])
        rows = [
            self._log_mel(w, size) for w, size in zip(waveforms, windows_B.tolist(), strict=True)
        ]
        longest = _CONV_STRIDE * int(windows_B.max())
        features_BMS = torch.stack([F.pad(row, (0, longest - row.shape[-1])) for row in rows])
        return {
            "input_features": features_BMS,
            "window_lengths": windows_B,
            "frame_lengths": frame_lengths,
        }

    def _log_mel(self, waveform: np.ndarray, window_frames: int) -> Tensor:
        size = window_frames * self._samples_per_frame
        features = self.feature_extractor(
            waveform, sampling_rate=SAMPLING_RATE, max_length=size, return_tensors="pt"
        )
        return features["input_features"][0]


class WhisperEncoder(SpeechEncoder):
    """The encoder half of a Whisper model."""

    front_end_class = WhisperFrontEnd
    key_mapping = {r"^(model\.)?encoder\.": ""}

    @classmethod
    def model_class(cls, config: PreTrainedConfig) -> type[PreTrainedModel]:
        """The encoder without the decoder."""
        return HubWhisperEncoder

    @property
    def num_layers(self) -> int:
        """Layers of the encoder half."""
        return self.model.config.encoder_layers

    @property
    def width(self) -> int:
        """Width of the hidden states."""
        return self.model.config.d_model

    def _run(self, *, frame_lengths: Tensor, **inputs: Tensor) -> Any:
        """Runs the rows of each window by themselves: no row may depend on those beside it."""
        features_BMS, windows_B = inputs["input_features"], inputs["window_lengths"]
        size = int(frame_lengths.max())
        layers: list[Tensor] = []
        for window in windows_B.unique().tolist():
            rows = (windows_B == window).nonzero()[:, 0]
            part = self._window_layers(features_BMS[rows, :, : _CONV_STRIDE * window])
            layers = layers or [x.new_zeros(len(windows_B), size, x.shape[2]) for x in part]
            kept = min(size, window)
            for whole, of_window in zip(layers, part, strict=True):
                whole[rows, :kept] = of_window[:, :kept]
        return BaseModelOutput(last_hidden_state=layers[-1], hidden_states=tuple(layers))

    def _window_layers(self, features_BMS: Tensor) -> list[Tensor]:
        """The embedding output and every layer's, (B, T, D) each, the last normalised.

        transformers' own forward takes the full window only, with all its positions.
        """
        model = self.model
        frames_BDT = F.gelu(model.conv2(F.gelu(model.conv1(features_BMS))))
        positions_TD = model.embed_positions.weight[: frames_BDT.shape[2]]
        hidden_BTD = frames_BDT.transpose(1, 2) + positions_TD
        outputs = [hidden_BTD]
        for layer in model.layers:
            hidden_BTD = layer(hidden_BTD, None)
            outputs.append(hidden_BTD)
        return [*outputs[:-1], model.layer_norm(outputs[-1])]
