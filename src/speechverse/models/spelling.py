"""What audio positions say by the LLM's own token embeddings: scores for CTC, without running the LLM.

Shape letters: B batch, T' audio positions, E width of the LLM's embeddings, V vocabulary, C tokens asked for.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

_NO_TOKEN = 0.75
"""A position nearer to no token's embedding than this cosine spells none."""
_ODDS_OF_NONE = 3.7
"""Of spelling none where no token is near, against all tokens together."""


def _sharpness(num_tokens: int) -> float:
    """Logit of a cosine of 1: the more tokens there are, the more has to stand out from."""
    return math.log(_ODDS_OF_NONE * num_tokens) / _NO_TOKEN


def spell(audio_BTE: Tensor, table_VE: Tensor, tokens_C: Tensor, blank: int) -> Tensor:
    """Logits (B, T', C) of how near each position lies to each token's embedding.

    Args:
        audio_BTE: Positions as the LLM would get them, (B, T', E).
        table_VE: The LLM's embeddings, (V, E).
        tokens_C: The tokens to score, (C,).
        blank: The token whose score is that of no token.
    """
    # What all embeddings share says nothing of any: in SmolLM2's table two tokens have a cosine of .44 on average.
    centre_E = table_VE.mean(dim=0).to(audio_BTE.dtype)
    table_CE = table_VE[tokens_C].to(audio_BTE.dtype) - centre_E
    cosines_BTC = F.normalize(audio_BTE - centre_E, dim=-1) @ F.normalize(table_CE, dim=-1).T
    cosines_BTC = cosines_BTC.masked_fill(tokens_C == blank, _NO_TOKEN)
    return _sharpness(len(tokens_C)) * cosines_BTC
