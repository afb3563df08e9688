"""Which frames are hidden, and what stands in their place.

Shapes: B batch, T stacked frames (25 Hz), F width of a stacked frame.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def span_mask(
    lengths: Tensor, ratio: float, span: int, generator: torch.Generator | None = None
) -> Tensor:
    """Draws spans that may overlap, to hide a share of the frames, overlaps counted once.

    Returns:
        (B, T) booleans, true where hidden, never beyond the (B,) true lengths, at least one a row.
    """
    total = int(lengths.max())
    start_chance = 1.0 - (1.0 - ratio) ** (1.0 / span)
    starts = torch.rand(len(lengths), total + span - 1, generator=generator) < start_chance
    hidden = starts.float().unfold(1, span, 1).amax(dim=-1).bool()
    forced = (torch.rand(len(lengths), generator=generator) * lengths.cpu()).long()
    hidden[torch.arange(len(lengths)), forced] = True
    return hidden.to(lengths.device) & (
        torch.arange(total, device=lengths.device) < lengths[:, None]
    )


def mask_with_noise(
    frames: Tensor, hidden: Tensor, std: float = 0.1, generator: torch.Generator | None = None
) -> Tensor:
    """Puts normal noise where frames (B, T, F) of variance 1 are hidden (B, T)."""
    noise = torch.empty(frames.shape, dtype=frames.dtype, device=frames.device)
    noise.normal_(std=std, generator=_on_device(generator, frames.device))
    return torch.where(hidden[..., None], noise, frames)


def _on_device(generator: torch.Generator | None, device: torch.device) -> torch.Generator | None:
    """A generator on the device, seeded from this one: noise is slow to draw elsewhere."""
    if generator is None or generator.device.type == device.type:
        return generator
    seed = int(torch.randint(2**62, (1,), generator=generator, device=generator.device))
    return torch.Generator(device).manual_seed(seed)


def hide_spans(lengths: Tensor, size: int, number: int, width: int) -> Tensor:
    """(B, size), true in `number` spans a row, each at most a quarter of the row's length."""
    widest = torch.minimum(torch.tensor(width), lengths // 4)[:, None]
    widths = (torch.rand(len(lengths), number) * (widest + 1)).long()
    starts = (torch.rand(len(lengths), number) * (lengths[:, None] - widths + 1)).long()
    places = torch.arange(size)
    inside = (places >= starts[..., None]) & (places < (starts + widths)[..., None])
    return inside.any(dim=1)


def perplexity(counts: Tensor) -> float:
    """How many codes are in use, effectively: exp of the entropy of their counts (K,)."""
    shares = counts.float() / counts.sum().clamp(min=1)
    return math.exp(-float((shares * shares.clamp(min=1e-12).log()).sum()))
