"""Audio into the places that prompts keep for it; no device is waited for.

Shape letters: B prompts, C clips, P prompt positions, T audio positions, E width of the LLM.
"""

from __future__ import annotations

import torch
from torch import Tensor


def place_audio(
    prompts_BPE: Tensor, is_audio_BP: Tensor, audio_CTE: Tensor, lengths_C: Tensor
) -> Tensor:
    """Embedded prompts (B, P, E) with the audio in its places, the clips in the order of the rows.

    Raises:
        ValueError: If the prompts keep other numbers of positions than the audio takes. On a GPU,
            where asking would mean waiting, it is the device that fails.
    """
    kept_B = is_audio_BP.sum(dim=1)
    if len(audio_CTE) == len(is_audio_BP):
        audio_BTE, taken_B = audio_CTE, lengths_C
    else:
        audio_BTE, taken_B = _of_each_prompt(audio_CTE, lengths_C, kept_B, is_audio_BP.shape[1])
    _check_positions(kept_B, taken_B)
    # A boolean index, and masked_scatter's gradient, would wait for the device to count;
    # positions need not.
    place_BP = (is_audio_BP.cumsum(dim=1) - 1).clamp(0, audio_BTE.shape[1] - 1)
    placed_BPE = audio_BTE.gather(1, place_BP[..., None].expand(-1, -1, audio_BTE.shape[2]))
    return torch.where(is_audio_BP[..., None], placed_BPE.to(prompts_BPE.dtype), prompts_BPE)


def _of_each_prompt(
    audio_CTE: Tensor, lengths_C: Tensor, kept_B: Tensor, width: int
) -> tuple[Tensor, Tensor]:
    """Positions of C clips as those of the B prompts that keep so many for all their clips: each
    row the positions of its clips, one after the other, then any, `width` in all.
    """
    ends_C, ends_B = lengths_C.cumsum(0), kept_B.cumsum(0)
    number_BP = torch.arange(width, device=kept_B.device) + (ends_B - kept_B)[:, None]
    clip_BP = torch.searchsorted(ends_C, number_BP, right=True).clamp(max=len(lengths_C) - 1)
    place_BP = (number_BP - (ends_C - lengths_C)[clip_BP]).clamp(0, audio_CTE.shape[1] - 1)
    # only the sums are compared: which row has too many cannot be told
    taken_B = kept_B + (ends_C[-1] - ends_B[-1])
    return audio_CTE[clip_BP, place_BP], taken_B


def _check_positions(kept: Tensor, taken: Tensor) -> None:
    """Whether each prompt keeps as many positions (B,) as its audio takes (B,)."""
    if kept.is_cuda:  # asserted there, for reading the answer here would wait for the device
        torch._assert_async(
            (kept == taken).all(), "prompts keep other numbers of positions than their audio takes"
        )
    elif not kept.is_meta and not torch.equal(kept, taken):
        raise ValueError(
            f"prompts keep {kept.tolist()} positions, audio takes {taken.tolist()}; make batches"
            " with the processor of this very model (model.processor())"
        )
