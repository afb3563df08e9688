"""The BEST-RQ pre-training model: a speech body that names hidden frames, one head per codebook.

Shapes: B batch, T stacked frames (25 Hz), F width of a stacked frame, D width of the body, N
codebooks, K codes, M hidden frames of the batch.
"""

from __future__ import annotations

from statistics import mean
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from speechverse.encoders.best_rq.config import BestRqConfig
from speechverse.encoders.best_rq.masking import mask_with_noise, perplexity, span_mask
from speechverse.encoders.best_rq.quantizer import RandomProjectionQuantizer


class BestRqOutput(NamedTuple):
    """The cross entropy of hidden frames, and what to watch beside it.

    Attributes:
        by_frame: (M,) of each hidden frame, the mean over codebooks.
        rows: (M,) the row that each hidden frame is in.
        watched: Accuracy; `common_share`, what naming the batch's most common code each time would
            reach; `code_perplexity`, codes effectively in use (near 1 means collapse).
    """

    by_frame: Tensor
    rows: Tensor
    watched: dict[str, float]


class BestRqForPreTraining(nn.Module):
    """A speech body with N softmax heads over the codes of what was hidden from it."""

    def __init__(self, body: PreTrainedModel, config: BestRqConfig) -> None:
        super().__init__()
        self.config = config
        self.body = body
        frame_width = body.config.feature_projection_input_dim
        self.quantizer = RandomProjectionQuantizer(
            frame_width, config.num_codebooks, config.codebook_size, config.code_width
        )
        self.heads = nn.Linear(body.config.hidden_size, config.num_codebooks * config.codebook_size)

    def forward(
        self,
        input_features: Tensor,
        attention_mask: Tensor,
        generator: torch.Generator | None = None,
    ) -> BestRqOutput:
        """One pass over normalised, stacked log-mel frames (B, T, F), with spans hidden.

        The mask (B, T) is 1 on true frames; spans and noise are drawn by the generator, if given.
        """
        lengths = attention_mask.sum(dim=1)
        hidden = span_mask(lengths, self.config.mask_ratio, self.config.mask_span, generator)
        # The frames of a batch may be padded beyond its longest row, where nothing is hidden.
        hidden = functional.pad(hidden, (0, input_features.shape[1] - hidden.shape[1]))
        masked = mask_with_noise(input_features, hidden, generator=generator)
        states = self.body(masked, attention_mask=attention_mask).last_hidden_state
        row_of_each = hidden.nonzero()[:, 0]
        return self._score(states[hidden], self.quantizer(input_features[hidden]), row_of_each)

    def _score(self, states: Tensor, codes: Tensor, rows: Tensor) -> BestRqOutput:
        """Compares what the heads say of hidden frames (M, D) with their codes (M, N)."""
        shape = (len(states), self.config.num_codebooks, self.config.codebook_size)
        logits = self.heads(states).view(shape)
        nll = functional.cross_entropy(logits.flatten(0, 1), codes.flatten(), reduction="none")
        by_frame = nll.view_as(codes).mean(dim=1)
        counts = [
            torch.bincount(column, minlength=self.config.codebook_size)
            for column in codes.unbind(dim=1)
        ]
        watched = {
            "accuracy": float((logits.detach().argmax(dim=-1) == codes).float().mean()),
            "common_share": sum(int(count.max()) for count in counts) / codes.numel(),
            "code_perplexity": mean(perplexity(count) for count in counts),
        }
        return BestRqOutput(by_frame, rows, watched)
