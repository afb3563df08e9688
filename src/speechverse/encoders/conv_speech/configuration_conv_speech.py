"""Configuration of the convolutional encoder."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig


class ConvSpeechConfig(PreTrainedConfig):
    """Sizes of a `ConvSpeechModel`.

    Attributes:
        vocab_size: Pieces of the CTC head.
        feature_projection_input_dim: Width of a stacked log-mel frame (mel bins × stride).
        num_mel_bins: Of an unstacked frame.
        mel_conv_width: Channels of convolutions over the frames as they were before stacking, which replace the linear
            layer over a stacked frame; 0 for that layer. The stride must then be a power of two.
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
    num_mel_bins: int = 80
    mel_conv_width: int = 0
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
        if self.mel_conv_width and self.stride not in (2, 4, 8, 16):
            raise ValueError(
                f"mel_conv_width needs a stride of 2, 4, 8 or 16; {self.feature_projection_input_dim} values a stacked "
                f"frame of {self.num_mel_bins} bins make {self.stride}"
            )

    @property
    def stride(self) -> float:
        """Mel frames in a stacked one."""
        return self.feature_projection_input_dim / self.num_mel_bins
