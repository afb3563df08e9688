"""Audio positions against the LLM's own token embeddings: logits for CTC, without running the LLM.

Shape letters: B batch, T' audio positions, E width of the LLM's embeddings, V vocabulary, C tokens
asked for.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor
from transformers import PreTrainedModel

from speechverse.models.llm import embed_tokens

_BLANK_COSINE = 0.32
"""A position nearer to no token's embedding than this cosine is blank. With .75 SmolLM2's
rare words stayed unlearned: a token's loss fell from 3.3 to 2.5 within 100 steps of .5, to 1.9
within 100 of .33; .24 was no better."""
_ODDS_OF_BLANK = 3.7
"""Of the blank where no token is near, against all tokens together."""


def _sharpness(num_tokens: int) -> float:
    """Logit of a cosine of 1: the more tokens there are, the more has to stand out from."""
    return math.log(_ODDS_OF_BLANK * num_tokens) / _BLANK_COSINE


def token_logits(llm: PreTrainedModel, audio_BTE: Tensor, tokens_C: Tensor, blank: int) -> Tensor:
    """Logits (B, T', C) of how near each position lies to each token's embedding.

    What all embeddings share says nothing of any, and is taken off both sides: in SmolLM2's table
    two tokens have a cosine of .44 on average.

    Args:
        llm: The LLM.
        audio_BTE: Positions as it would get them, (B, T', E).
        tokens_C: The tokens to score, (C,), the blank among them.
        blank: The token that stands for none.
    """
    table_VE, tokens_CE = llm.get_input_embeddings().weight, embed_tokens(llm, tokens_C)
    scale = tokens_CE.norm() / table_VE[tokens_C].norm()  # some LLMs scale what their table holds
    centre_E = (table_VE.mean(dim=0) * scale).to(audio_BTE.dtype)
    apart_CE = tokens_CE.to(audio_BTE.dtype) - centre_E
    cosines_BTC = F.normalize(audio_BTE - centre_E, dim=-1) @ F.normalize(apart_CE, dim=-1).T
    return _sharpness(len(tokens_C)) * cosines_BTC.masked_fill(tokens_C == blank, _BLANK_COSINE)
