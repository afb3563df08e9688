"""The BEST-RQ pre-training model: a speech body that names hidden frames, one head per codebook.

Shapes: B batch, T stacked frames (25 Hz), F width of a stacked frame, D width of the body, N codebooks, K codes,
M hidden frames of the batch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from speechverse.encoders.best_rq.masking import mask_with_noise, perplexity, span_mask
from speechverse.encoders.best_rq.quantizer import RandomProjectionQuantizer


class BestRqConfig(BaseModel):
    """The objective's settings; the defaults are the paper's (App. A.1).

    Attributes:
        num_codebooks: Independent codebooks, each with its own softmax head.
        codebook_size: Codes in each.
        code_width: Width of a code.
        mask_ratio: Share of frames hidden.
        mask_span: Stacked frames in a hidden span.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_codebooks: int = Field(default=16, ge=1)
    codebook_size: int = Field(default=8192, ge=2)
    code_width: int = Field(default=16, ge=1)
    mask_ratio: float = Field(default=0.4, gt=0, lt=1)
    mask_span: int = Field(default=10, ge=1)


class BestRqOutput(NamedTuple):
    """Loss and what to watch beside it, all means over hidden frames and codebooks.

    Attributes:
        loss: Cross entropy, the mean over codebooks of the mean over hidden frames.
        accuracy: Share of hidden frames named rightly.
        common_share: What naming the batch's most common code each time would reach.
        code_perplexity: Codes effectively in use; near 1 means collapse.
    """

    loss: Tensor
    accuracy: float
    common_share: float
    code_perplexity: float

    @property
    def numbers(self) -> dict[str, float]:
        """What to watch, by name."""
        return {
            "accuracy": self.accuracy,
            "common_share": self.common_share,
            "code_perplexity": self.code_perplexity,
        }


class BestRqForPreTraining(nn.Module):
    """A speech body over stacked frames, with N softmax heads over the codes of what was hidden from it."""

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
        self, input_features: Tensor, attention_mask: Tensor, generator: torch.Generator | None = None
    ) -> BestRqOutput:
        """One pass over a batch with spans hidden.

        Args:
            input_features: (B, T, F) normalised, stacked log-mel frames.
            attention_mask: (B, T), 1 on true frames.
            generator: Source of spans and noise.
        """
        lengths = attention_mask.sum(dim=1)
        hidden = span_mask(lengths, self.config.mask_ratio, self.config.mask_span, generator)
        hidden = functional.pad(hidden, (0, input_features.shape[1] - hidden.shape[1]))
        masked = mask_with_noise(input_features, hidden, generator=generator)
        states = self.body(masked, attention_mask=attention_mask).last_hidden_state
        return self.score(states[hidden], self.quantizer(input_features[hidden]))

    def score(self, states: Tensor, codes: Tensor) -> BestRqOutput:
        """Compares what the heads say of hidden frames (M, D) with their codes (M, N)."""
        shape = (len(states), self.config.num_codebooks, self.config.codebook_size)
        logits = self.heads(states).view(shape)
        loss = functional.cross_entropy(logits.flatten(0, 1), codes.flatten())
        counts = [torch.bincount(column, minlength=self.config.codebook_size) for column in codes.unbind(dim=1)]
        common = sum(int(count.max()) for count in counts) / codes.numel()
        accuracy = float((logits.detach().argmax(dim=-1) == codes).float().mean())
        return BestRqOutput(loss, accuracy, common, sum(map(perplexity, counts)) / len(counts))
