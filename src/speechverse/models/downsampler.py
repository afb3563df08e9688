"""From encoder frames to as many positions as the LLM should read, in the width of its embeddings.

Shape letters: B batch, T frames, D width of the encoder, E width of the LLM's embeddings,
I width between blocks, at the end E.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from speechverse.config import Config, PositiveInt
from speechverse.encoders import length_mask

KERNEL_SIZE = 3


class DownsamplerConfig(Config):
    """Blocks of convolution (kernel 3) and layer norm, down to the LLM's 12.5 Hz."""

    strides: list[PositiveInt] = Field(default=[2, 2], min_length=1)
    """One a block, their product is the reduction; the paper: [2, 2] at 50 Hz, [2, 1] at 25 Hz."""
    activation: Literal["gelu"] | None = None
    """Between the blocks; the paper names none."""
    inner_width: PositiveInt | None = None
    """Width between the blocks; the LLM's, as in the paper, if none is said."""
    scale_to_embeddings: bool = False
    """Scale the output to the LLM's embeddings."""
    clip_statistics: bool = False
    """Tell every position the clip's mean and deviation: emotion, accent and speakers show
    there.
    """


class Downsampler(nn.Module):
    """Blocks of 1-D convolution (kernel 3, padded by 1) and LayerNorm; padding is masked before
    every convolution.

    Args:
        output_scale: What the output is multiplied with, for LLMs whose embeddings are small.
    """

    def __init__(
        self,
        input_width: int,
        output_width: int,
        config: DownsamplerConfig,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__()
        strides = self.strides = tuple(config.strides)
        widths = [
            input_width,
            *[config.inner_width or output_width] * (len(strides) - 1),
            output_width,
        ]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], KERNEL_SIZE, stride=stride, padding=1)
            for i, stride in enumerate(strides)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths[1:])
        self.activation = nn.GELU() if config.activation == "gelu" else nn.Identity()
        self.output_scale = output_scale

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    def forward(self, frames: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Reduces frames.

        Args:
            frames: Shape (B, T, D).
            lengths: True frames of each row, shape (B,).

        Returns:
            Positions of shape (B, T', E) and their true lengths (B,); see `downsampled_length`.
        """
        hidden_BTI = frames
        last = len(self.strides) - 1
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            hidden_BTI = hidden_BTI.masked_fill(
                ~length_mask(lengths, hidden_BTI.shape[1])[..., None], 0.0
            )
            hidden_BTI = norm(convolution(hidden_BTI.transpose(1, 2)).transpose(1, 2))
            hidden_BTI = hidden_BTI if i == last else self.activation(hidden_BTI)
            lengths = (lengths - 1) // self.strides[i] + 1
        return hidden_BTI * self.output_scale, lengths


def downsampled_length(num_frames: int, strides: Sequence[int]) -> int:
    """How many positions so many encoder frames give: each block rounds up."""
    for stride in strides:
        num_frames = (num_frames - 1) // stride + 1
    return num_frames
