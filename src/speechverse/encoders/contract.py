"""The one contract over every speech encoder: all hidden states, true lengths, the frame rate.

Shape letters: L layers, B batch, S samples, T frames at `frame_rate`, D width of the encoder.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from speechverse.errors import AudioError, AudioTooLongError, RecipeError
from speechverse.types import SAMPLING_RATE, Seconds

Window = Literal["fit", "full"]
"""Of an encoder with a fixed window: one that fits the clip, or the whole of its training."""


class EncoderOutput(NamedTuple):
    """What an encoder gives.

    Attributes:
        hidden_states: Each transformer layer's output, (L, B, T, D), without the embedding's; or
            only the last, (1, B, T, D).
        lengths: True frames of each row, (B,); what lies beyond them means nothing.
    """

    hidden_states: Tensor
    lengths: Tensor


class FrontEnd(ABC):
    """What a family does to samples before its network: no weights, so it can work in any process.

    Attributes:
        frame_rate: Encoder frames per second.
        max_seconds: The longest audio the encoder can take, if there is such a limit.
        window: For families that hear a fixed window; the others hear the clip as it is.
    """

    frame_rate: float
    max_seconds: float | None = None
    window: Window = "fit"

    def __init__(self, config: PreTrainedConfig, feature_extractor: Any) -> None:
        self.config = config
        self.feature_extractor = feature_extractor
        rate = feature_extractor.sampling_rate
        if rate != SAMPLING_RATE:
            raise AudioError(
                f"this encoder expects {rate} Hz audio; only {SAMPLING_RATE} Hz encoders are"
                " supported"
            )

    @abstractmethod
    def num_frames(self, num_samples: int) -> int:
        """How many encoder frames so many samples give."""

    @abstractmethod
    def _features(
        self, waveforms: Sequence[np.ndarray], frame_lengths: Tensor
    ) -> dict[str, Tensor]:
        """The network's inputs for waveforms that give so many encoder frames each, (B,)."""

    def prepare(self, waveforms: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """The tensors to call the encoder with, from mono float samples at 16 kHz, (S,) each.

        Raises:
            AudioTooLongError: If a waveform is longer than the encoder can take.
            AudioError: If there is no waveform, or one is not mono or too short to give a frame.
        """
        if not waveforms:
            raise AudioError("no audio was given; give at least one waveform")
        lengths = torch.tensor([self.count_frames(waveform) for waveform in waveforms])
        return self._features([np.asarray(w, dtype=np.float32) for w in waveforms], lengths)

    def count_frames(self, waveform: np.ndarray) -> int:
        """The encoder frames that a waveform gives; raises `AudioError` as `prepare` does."""
        if waveform.ndim != 1:
            raise AudioError(
                f"audio has shape {tuple(waveform.shape)}; the encoder takes mono samples of shape"
                " (S,)"
            )
        return self.check_length(len(waveform))

    def check_length(
        self, num_samples: int, limit: Seconds = math.inf, whose: str = "this model accepts"
    ) -> int:
        """The encoder frames that so many samples give; the one place that says a clip's length is
        unfit.

        Args:
            limit: Stricter than the encoder's, if there is such a one.
            whose: Who sets it, in the error.

        Raises:
            AudioTooLongError: If they are more than the encoder can take, or than the limit.
            AudioError: If they are too few for a single frame.
        """
        if self.max_seconds is not None and self.max_seconds < limit:
            limit, whose = self.max_seconds, f"the {self.config.model_type} encoder can take"
        seconds = num_samples / SAMPLING_RATE
        if seconds > limit:
            raise AudioTooLongError(
                f"audio of {seconds:.2f} s is longer than the {limit:g} s {whose}; nothing is cut"
                " off it: divide it into shorter clips",
                f"longer than {limit:g} s",
            )
        frames = self.num_frames(num_samples)
        if frames < 1:
            raise AudioError(
                f"audio of {num_samples} samples is too short for the encoder to give a single"
                " frame",
                "too short for the encoder",
            )
        return frames


class SpeechEncoder(nn.Module, ABC):
    """A frozen (or, for one stage, trained) transformers speech model behind the contract.

    Batch-invariant: what a row gives depends on nothing beside it. LayerDrop and SpecAugment are
    off, and it stays in evaluation mode whatever its parent does, until `set_trainable(True)`.

    Attributes:
        key_mapping: From weight names in a whole model's files to the encoder's own.
        last_layer_only: Whether `forward` gives the last layer alone, to save memory.
    """

    front_end_class: ClassVar[type[FrontEnd]]
    key_mapping: ClassVar[dict[str, str] | None] = None
    last_layer_only: bool = False

    def __init__(self, model: PreTrainedModel, front_end: FrontEnd) -> None:
        super().__init__()
        self.model = model
        self.front_end = front_end
        self.model.config.apply_spec_augment = False
        # Some families read LayerDrop from their configuration, some copy it into the module.
        self.model.config.layerdrop = 0.0
        self.model.layerdrop = 0.0
        self.set_trainable(False)

    @classmethod
    @abstractmethod
    def model_class(cls, config: PreTrainedConfig) -> type[PreTrainedModel]:
        """The transformers class that holds the encoder and nothing else."""

    @classmethod
    def encoder_config(cls, config: PreTrainedConfig) -> PreTrainedConfig:
        """The part of a model's configuration that describes the encoder."""
        return config

    @property
    def num_layers(self) -> int:
        """L."""
        return self.model.config.num_hidden_layers

    @property
    def width(self) -> int:
        """D."""
        return self.model.config.hidden_size

    @property
    def frame_rate(self) -> float:
        """See `FrontEnd`."""
        return self.front_end.frame_rate

    @property
    def max_seconds(self) -> float | None:
        """See `FrontEnd`."""
        return self.front_end.max_seconds

    def prepare(self, waveforms: Sequence[np.ndarray]) -> dict[str, Tensor]:
        """See `FrontEnd.prepare`."""
        return self.front_end.prepare(waveforms)

    def num_frames(self, num_samples: int) -> int:
        """See `FrontEnd.num_frames`."""
        return self.front_end.num_frames(num_samples)

    def set_trainable(self, trainable: bool, top_layers: int | None = None) -> None:
        """Freezes the encoder, or lets a stage train it: all of it, or its last layers alone.

        Raises:
            RecipeError: If it has fewer layers.
        """
        self.trainable = trainable
        self._learning = [self.model] if top_layers is None else self._last_layers(top_layers)
        if trainable:
            self.float()  # an optimiser's small steps vanish in 16 bits
        self.requires_grad_(False)
        for parameter in self.learning():
            parameter.requires_grad_(trainable)
        self.train(trainable)

    def learning(self) -> list[nn.Parameter]:
        """What learns where the encoder does: all, unless `set_trainable` said less."""
        return [parameter for part in self._learning for parameter in part.parameters()]

    def _last_layers(self, number: int) -> list[nn.Module]:
        if number > self.num_layers:
            raise RecipeError(
                f"the encoder has {self.num_layers} layers, so its last {number} cannot be trained;"
                " set top_layers to fewer"
            )
        stacks = [
            part
            for name, part in self.model.named_modules()
            if name.rpartition(".")[2] == "layers" and isinstance(part, nn.ModuleList)
        ]
        return list(stacks[-1][-number:])

    def train(self, mode: bool = True) -> SpeechEncoder:
        """Follows the parent's mode only where the encoder is being trained."""
        super().train(mode and self.trainable)
        self.model.eval()
        for part in self._learning:
            part.train(mode and self.trainable)
        return self

    def forward(self, **inputs: Tensor) -> EncoderOutput:
        """Encodes what `prepare` made."""
        frame_lengths = inputs.pop("frame_lengths")
        dtype = self.model.dtype
        inputs = {name: x.to(dtype) if x.is_floating_point() else x for name, x in inputs.items()}
        with torch.set_grad_enabled(self.trainable and torch.is_grad_enabled()):
            outputs = self._run(frame_lengths=frame_lengths, **inputs)
        if self.last_layer_only:
            return EncoderOutput(outputs.last_hidden_state[None], frame_lengths)
        # Families with a final LayerNorm differ in whether they count it to the last layer; here it
        # always is.
        layers = [*outputs.hidden_states[1:-1], outputs.last_hidden_state]
        return EncoderOutput(torch.stack(layers), frame_lengths)

    @abstractmethod
    def _run(self, *, frame_lengths: Tensor, **inputs: Tensor) -> Any:
        """Calls the model for its last and all hidden states."""


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """True where a position lies within its row's length, shape (B, size)."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def mean_and_deviation(frames: Tensor, lengths: Tensor) -> Tensor:
    """Mean and deviation over each row's true frames: (..., B, T, D), (B,) → (..., B, 2 D)."""
    mask_BT1 = length_mask(lengths, frames.shape[-2])[..., None]
    count_B1 = lengths[:, None].clamp(min=1)
    mean = frames.where(mask_BT1, 0.0).sum(dim=-2) / count_B1
    apart = (frames - mean[..., None, :]).where(mask_BT1, 0.0)
    variance = apart.square().sum(dim=-2) / count_B1
    return torch.cat([mean, (variance + 1e-5).sqrt()], dim=-1)  # the root of 0 has no gradient


def pad_rows(rows: Sequence[np.ndarray | Tensor], value: float = 0.0) -> tuple[Tensor, Tensor]:
    """Right-pads arrays of shape (S, ...): float32 (B, S, ...) and their lengths (B,)."""
    lengths = torch.tensor([len(row) for row in rows])
    padded = torch.full((len(rows), int(lengths.max()), *rows[0].shape[1:]), value)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = torch.as_tensor(row)
    return padded, lengths


def without_autocast(device_type: str) -> AbstractContextManager[object]:
    """Computes in the tensors' own precision within the block."""
    available = torch.amp.is_autocast_available(device_type)  # it is not on the meta device
    return torch.autocast(device_type, enabled=False) if available else nullcontext()
