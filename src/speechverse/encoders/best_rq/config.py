"""Settings of an encoder that is pre-trained, as recipes say them; nothing here needs torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class BestRqConfig(BaseModel):
    """The objective's settings; the defaults are the paper's (App. A.1)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_codebooks: int = Field(
        default=16, ge=1, description="Independent codebooks, each with its own softmax head."
    )
    codebook_size: int = Field(default=8192, ge=2, description="Codes in each.")
    code_width: int = Field(default=16, ge=1)
    mask_ratio: float = Field(default=0.4, gt=0, lt=1, description="Share of frames hidden.")
    mask_span: int = Field(default=10, ge=1, description="Stacked frames in a hidden span.")


class ConformerConfig(BaseModel):
    """The body (transformers' `Wav2Vec2BertModel`); the paper's is 24 layers of 768
    with 8 heads.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden_size: int = Field(default=144, ge=1)
    num_hidden_layers: int = Field(default=5, ge=1)
    num_attention_heads: int = Field(default=4, ge=1)
    intermediate_size: int = Field(default=576, ge=1)
    conv_depthwise_kernel_size: int = Field(default=15, ge=1)
    stride: int = Field(
        default=4, ge=1, description="Log-mel frames of 10 ms in one frame of the encoder."
    )
    position_embeddings_type: Literal["relative_key", "relative", "rotary"] | None = "relative_key"
    left_max_position_embeddings: int = Field(default=32, ge=0)
    right_max_position_embeddings: int = Field(default=16, ge=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)


class SpecAugmentConfig(BaseModel):
    """What is hidden while CTC trains (SpecAugment, arXiv 1904.08779)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    time_spans: int = Field(default=2, ge=0)
    time_width: int = Field(default=6, ge=0, description="Widest span, in frames of the encoder.")
    mel_spans: int = Field(default=2, ge=0)
    mel_width: int = Field(default=12, ge=0, description="Widest span, in mel bins.")
