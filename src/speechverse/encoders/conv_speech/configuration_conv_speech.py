"""Configuration of the convolutional encoder."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig


class ConvSpeechConfig(PreTrainedConfig):
    """Sizes of a `ConvSpeechModel`.

    Attributes:
        vocab_size: Pieces of the CTC head.
        feature_projection_input_dim: Width of a stacked log-mel frame (mel bins × stride).
        hidden_size: Width of the hidden states.
        num_hidden_layers: Blocks.
        intermediate_size: Width inside a feed-forward part.
        conv_kernel_size: Frames that a convolution sees, odd, so that it looks as far ahead as back.
        hidden_dropout: In training, on what each part adds.
        layer_norm_eps: Of every layer norm.
        pad_token_id: Also the CTC blank, as elsewhere in transformers.
    """

    model_type = "conv_speech"

    vocab_size: int | None = None
    feature_projection_input_dim: int = 320
    hidden_size: int = 160
    num_hidden_layers: int = 6
    intermediate_size: int = 640
    conv_kernel_size: int = 11
    hidden_dropout: float = 0.0
    layer_norm_eps: float = 1e-5
    pad_token_id: int | None = 0

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if self.conv_kernel_size % 2 == 0:
            raise ValueError(f"conv_kernel_size is {self.conv_kernel_size}; it must be odd")
