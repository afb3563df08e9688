"""Targets from chance: a random projection and random codebooks that are never trained.

Shapes: B batch, T stacked frames (25 Hz), F width of a stacked frame, N codebooks, K codes in each,
    C code width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from speechverse.encoders.contract import without_autocast


class RandomProjectionQuantizer(nn.Module):
    """Names each frame by the nearest of K random directions, in each of N codebooks.

    The projection is drawn Xavier uniform and the codes standard normal; both sides are brought to
    unit length, so the nearest code is the one with the largest cosine (BEST-RQ, arXiv 2202.01855).
    Frames should be of mean 0 and variance 1, or a few codes take them all.
    """

    projection: Tensor
    codebooks: Tensor

    def __init__(
        self,
        frame_width: int,
        num_codebooks: int,
        codebook_size: int,
        code_width: int,
        seed: int = 0,
    ) -> None:
        """Draws the projection (N, F, C) and the codebooks (N, K, C) from `seed`."""
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        bound = (6.0 / (frame_width + code_width)) ** 0.5
        projection = torch.empty(num_codebooks, frame_width, code_width).uniform_(
            -bound, bound, generator=generator
        )
        codebooks = torch.empty(num_codebooks, codebook_size, code_width).normal_(
            generator=generator
        )
        self.register_buffer("projection", projection)
        self.register_buffer("codebooks", functional.normalize(codebooks, dim=-1))

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        """Codes (..., N), below K, of normalised frames (..., F).

        A projection's length does not matter to the largest cosine, so only the codes are
        normalised.
        """
        flat = frames.reshape(-1, frames.shape[-1])
        # bf16 does not tell near codes apart, and the targets must not depend on it.
        with without_autocast(flat.device.type):
            codes = [
                (flat @ projection @ codebook.T).argmax(dim=-1)
                for projection, codebook in zip(self.projection, self.codebooks, strict=True)
            ]
        return torch.stack(codes, dim=-1).reshape(*frames.shape[:-1], -1)
