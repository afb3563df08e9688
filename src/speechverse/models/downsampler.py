"""From encoder frames to as many positions as the LLM should read, in the width of its embeddings.

Shape letters: B batch, T frames, D width of the encoder, E width of the LLM's embeddings,
I width between blocks, at the end E.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from speechverse.encoders import length_mask
from speechverse.errors import RecipeError, unknown_name

KERNEL_SIZE = 3
ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU}


class Downsampler(nn.Module):
    """Blocks of 1-D convolution (kernel 3, padded by 1) and LayerNorm; padding is masked before every convolution.

    Args:
        input_width: D.
        output_width: E.
        strides: One a block; their product is the reduction.
        activation: Between blocks, or None as in the paper.
        inner_width: I, the width between blocks; None for E, as in the paper.
        output_scale: What the last LayerNorm's output is multiplied with, such as the scale of the LLM's embeddings.

    Source: SpeechVerse (arXiv 2405.08295) section 2.1.
    """

    def __init__(
        self,
        input_width: int,
        output_width: int,
        strides: Sequence[int],
        activation: str | None = None,
        inner_width: int | None = None,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if not strides or min(strides) < 1:
            raise RecipeError(
                f"downsampler strides are {list(strides)}; give one whole number ≥ 1 a block, as in [2, 2]"
            )
        if activation is not None and activation not in ACTIVATIONS:
            raise RecipeError(unknown_name("downsampler activation", activation, ACTIVATIONS))
        self.strides = tuple(strides)
        widths = [input_width, *[inner_width or output_width] * (len(strides) - 1), output_width]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(widths[i], widths[i + 1], KERNEL_SIZE, stride=stride, padding=1)
            for i, stride in enumerate(strides)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for width in widths[1:])
        self.activation = ACTIVATIONS[activation]() if activation else nn.Identity()
        self.output_scale = output_scale

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
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
            hidden_BTI = hidden_BTI.masked_fill(~length_mask(lengths, hidden_BTI.shape[1])[..., None], 0.0)
            hidden_BTI = norm(convolution(hidden_BTI.transpose(1, 2)).transpose(1, 2))
            hidden_BTI = hidden_BTI if i == last else self.activation(hidden_BTI)
            lengths = (lengths - 1) // self.strides[i] + 1
        return hidden_BTI * self.output_scale, lengths


def downsampled_length(num_frames: int, strides: Sequence[int]) -> int:
    """How many positions so many encoder frames give: each block rounds up."""
    for stride in strides:
        num_frames = (num_frames - 1) // stride + 1
    return num_frames
