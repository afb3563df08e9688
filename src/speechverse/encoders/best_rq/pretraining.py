"""An encoder while it is pre-trained: the paper's Conformer under the heads of BEST-RQ and, by
choice, of CTC.

Shapes: B batch, T stacked frames (25 Hz), F width of a stacked frame (mel bins × stride), V pieces.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    PreTrainedTokenizerFast,
    SeamlessM4TFeatureExtractor,
    Wav2Vec2BertConfig,
    Wav2Vec2BertForCTC,
    Wav2Vec2BertModel,
)

from speechverse.encoders.best_rq.config import BestRqConfig, ConformerConfig, SpecAugmentConfig
from speechverse.encoders.best_rq.masking import hide_spans
from speechverse.encoders.best_rq.modeling_best_rq import BestRqForPreTraining, BestRqOutput
from speechverse.encoders.contract import length_mask
from speechverse.encoders.wav2vec2_bert import Wav2Vec2BertFrontEnd
from speechverse.errors import CheckpointError, RecipeError, unknown_name
from speechverse.quiet import quiet_transformers
from speechverse.types import PartCount

MEL_BINS = 80
_HEADS_FILE = "best_rq_heads.safetensors"


def front_end(body: ConformerConfig) -> Wav2Vec2BertFrontEnd:
    """What makes the encoder's inputs."""
    return Wav2Vec2BertFrontEnd(
        transformers_config(body), SeamlessM4TFeatureExtractor(stride=body.stride)
    )


def transformers_config(body: ConformerConfig, **pieces: int) -> Wav2Vec2BertConfig:
    """The body in transformers' words."""
    dropouts = ("hidden", "activation", "attention", "conformer_conv", "final")
    return Wav2Vec2BertConfig(
        **pieces,
        **body.model_dump(exclude={"stride", "dropout"}),
        **{f"{place}_dropout": body.dropout for place in dropouts},
        feature_projection_input_dim=MEL_BINS * body.stride,
        feat_proj_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
        mask_time_prob=0.0,
        bos_token_id=None,
        eos_token_id=None,
    )


class EncoderForPreTraining(nn.Module):
    """The body with its heads; saved as a folder that transformers loads, with what only helps
    beside it.

    Without a tokenizer there is no CTC head; its padding piece (id 0) is the blank.
    """

    has_lora = False

    def __init__(
        self,
        body: ConformerConfig,
        best_rq: BestRqConfig,
        spec_augment: SpecAugmentConfig,
        tokenizer: PreTrainedTokenizerFast | None = None,
    ) -> None:
        super().__init__()
        pieces = {}
        if tokenizer is not None:
            pieces = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
        config = transformers_config(body, **pieces)
        whole: Any = (Wav2Vec2BertModel if tokenizer is None else Wav2Vec2BertForCTC)(config)
        self.ctc: Any = None if tokenizer is None else whole
        network = whole.base_model
        for module in network.modules():
            if isinstance(module, nn.Linear):
                # transformers' std of 0.02 learned more slowly at small sizes.
                nn.init.xavier_uniform_(module.weight)
        self.best_rq = BestRqForPreTraining(network, best_rq)
        self.spec_augment, self.tokenizer, self.front_end = spec_augment, tokenizer, front_end(body)

    def forward(
        self,
        features: Tensor,
        lengths: Tensor,
        objective: str,
        generator: torch.Generator | None = None,
    ) -> BestRqOutput | Tensor:
        """One pass over stacked log-mel frames (B, T, F), (B,) of them true.

        For `ctc` it gives logits (B, T, V), with spans hidden while it trains; the generator is
        of what BEST-RQ hides.
        """
        mask_BT = length_mask(lengths, features.shape[1]).long()
        if objective == "best_rq":
            return self.best_rq(features, mask_BT, generator)
        if self.training:
            features = self._hide(features, lengths)
        return self.ctc(features, attention_mask=mask_BT).logits

    def _hide(self, features: Tensor, lengths: Tensor) -> Tensor:
        """SpecAugment, each row its own; drawn on the CPU, so the same on any device."""
        rows, frames, settings = len(features), features.shape[1], self.spec_augment
        bins = torch.full((rows,), MEL_BINS)
        times = hide_spans(lengths.cpu(), frames, settings.time_spans, settings.time_width)
        bands = hide_spans(bins, MEL_BINS, settings.mel_spans, settings.mel_width)
        hidden = (times[:, :, None, None] | bands[:, None, None, :]).to(features.device)
        by_bin = features.view(rows, frames, -1, MEL_BINS)
        return by_bin.masked_fill(hidden, 0.0).view(features.shape)

    # What a stage of the trainer asks of a model

    def trainable_parts(self) -> dict[str, list[nn.Parameter]]:
        """What a stage can train: all of it."""
        return {"encoder": list(self.parameters())}

    def parameter_report(self) -> list[PartCount]:
        """How many parameters learn."""
        count = sum(parameter.numel() for parameter in self.parameters())
        return [PartCount("encoder", count, count)]

    def set_trainable(self, parts: Iterable[str], top_layers: int | None = None) -> None:
        """Lets the encoder learn, always all of it; RecipeError if another part should."""
        for part in parts:
            if part != "encoder":
                raise RecipeError(unknown_name("part to train", part, ["encoder"]))
        self.requires_grad_(True)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the body with its CTC head, its front end and, beside them, BEST-RQ's heads."""
        whole = self.ctc or self.best_rq.body
        with quiet_transformers():
            whole.save_pretrained(folder)
            self.front_end.feature_extractor.save_pretrained(folder)
            if self.tokenizer is not None:
                self.tokenizer.save_pretrained(folder)
        heads = {
            name: tensor.detach().contiguous()
            for name, tensor in self.best_rq.heads.state_dict().items()
        }
        save_file(heads, Path(folder) / _HEADS_FILE, metadata={"format": "pt"})

    def load_trained(self, folder: Path) -> None:
        """Takes the weights that `save_pretrained` wrote.

        Raises:
            CheckpointError: If they are not there, or do not fit.
        """
        try:
            (self.ctc or self.best_rq.body).load_state_dict(load_file(folder / "model.safetensors"))
            self.best_rq.heads.load_state_dict(load_file(folder / _HEADS_FILE))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(
                f"the weights in '{folder}' do not fit this encoder: {error}"
            ) from error
