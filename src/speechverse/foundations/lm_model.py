"""The small LLM: a pre-layer-norm encoder-decoder of transformers' own classes, started so that it can learn to copy.

Shapes: B batch, S positions read, U positions written, D width, V pieces.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BlenderbotConfig, BlenderbotForConditionalGeneration, PreTrainedTokenizerFast

from speechverse.foundations.recipe import LmRecipe, LmShape
from speechverse.seeding import hash_seed

EMBEDDING_STD = 0.2
POSITION_STD = 0.07
MATCH = 1.2
"""Key matrix over query matrix in a matching head."""


def make_lm(shape: LmShape, tokenizer: PreTrainedTokenizerFast) -> BlenderbotForConditionalGeneration:
    """Builds the LLM and starts its weights.

    Blenderbot's class is BART's shape with the layer norms before the blocks; T5's did not learn to copy at this size.
    """
    config = BlenderbotConfig(
        vocab_size=len(tokenizer),
        d_model=shape.width,
        encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.feed_forward,
        decoder_ffn_dim=shape.feed_forward,
        max_position_embeddings=shape.max_positions,
        dropout=shape.dropout,
        activation_function="gelu",
        init_std=shape.width**-0.5,
        scale_embedding=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
        forced_eos_token_id=None,
        encoder_no_repeat_ngram_size=0,
        tie_word_embeddings=True,
    )
    model = BlenderbotForConditionalGeneration(config)
    _start_weights(model, shape)
    return model


def new_lm(recipe: LmRecipe, tokenizer: PreTrainedTokenizerFast) -> BlenderbotForConditionalGeneration:
    """The LLM as its recipe's run begins, the same for whoever asks; seeds torch's generator."""
    torch.manual_seed(hash_seed(recipe.seed, "lm") % 2**63)
    return make_lm(recipe.shape, tokenizer)


@torch.no_grad()
def _start_weights(model: BlenderbotForConditionalGeneration, shape: LmShape) -> None:
    """Embeddings large enough to stay apart, positions as weaker waves, heads that match equal tokens and places."""
    words = model.get_input_embeddings().weight
    words.normal_(std=EMBEDDING_STD)
    words[model.config.pad_token_id] = 0.0
    parts = (model.model.encoder, model.model.decoder)
    for part in parts:
        part.embed_positions.weight.copy_(POSITION_STD * 2**0.5 * _waves(*part.embed_positions.weight.shape))
        for layer in part.layers:
            for output in (layer.self_attn.out_proj, layer.fc2):
                output.weight.mul_((2 * len(part.layers)) ** -0.5)
    model.model.decoder.layer_norm.weight.fill_(0.4)
    rows = int(shape.matching_heads * shape.heads) * shape.width // shape.heads
    reading = [layer.self_attn for layer in model.model.encoder.layers[: shape.matching_layers]]
    for attention in (*reading, *(layer.encoder_attn for layer in model.model.decoder.layers)):
        attention.k_proj.weight[:rows] = MATCH * attention.q_proj.weight[:rows]


def _waves(positions: int, width: int) -> Tensor:
    rates = np.exp(-np.log(10_000.0) * np.arange(0, width, 2) / width)
    angles = np.arange(positions)[:, None] * rates
    return torch.tensor(np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(positions, width)).float()


class LmBatch(NamedTuple):
    """Samples of one training step, padded.

    Attributes:
        ids: (B, S) what is read.
        styles: (B, S) ids laid over it; 0 adds nothing.
        mask: (B, S) 1 on what is there.
        strength: (B, 1, 1) what a style weighs beside a piece.
        blur: (B, 1, 1) how far a position takes from the one before it.
        noise: (B, 1, 1) how strong what is no word is beside what is; above 0, positions are of one length, as the
            downsampler's are.
        said: (B, S) where the stream stands, which alone is blurred.
        labels: (B, U) what is written, -100 beyond its end.
    """

    ids: Tensor
    styles: Tensor
    mask: Tensor
    strength: Tensor
    blur: Tensor
    noise: Tensor
    said: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> LmBatch:
        """The batch on a device."""
        return LmBatch(*(tensor.to(device) for tensor in self))


FILLED_BLANKS = 0.7
BLANK_JITTER = 0.3
HALF_WORDS = 0.3
"""Share of disturbed positions that lean to a piece that is not said."""
HALF = 0.8
"""The most that such a piece weighs beside the one that is said."""
FEW_DIRECTIONS = 0.5
"""Share of rows disturbed along a few directions: what voice and room leave beside the words of a clip is like that."""
DIRECTIONS = 6


class StreamedLm(nn.Module):
    """The LLM reading streams of embeddings, as it will read audio."""

    def __init__(self, lm: BlenderbotForConditionalGeneration) -> None:
        super().__init__()
        self.lm = lm

    def embed(self, batch: LmBatch) -> Tensor:
        """(B, S, D): tokens, styles over them, blurred and disturbed where audio will be; id 0 says nothing."""
        words = self._table(batch.ids) + batch.strength * self._table(batch.styles)
        words = words + self._blanks(words) * (batch.said & (batch.ids == 0))[..., None]
        before = functional.pad(words, (0, 0, 1, 0))[:, :-1]
        disturbed = words + batch.blur * (before - words) + self._disturbance(words, batch.noise)
        of_length = functional.normalize(disturbed, dim=-1) * EMBEDDING_STD * words.shape[-1] ** 0.5
        heard = torch.where(batch.noise > 0, of_length, disturbed)
        return torch.where(batch.said[..., None], heard, words)

    def _disturbance(self, words: Tensor, noise: Tensor) -> Tensor:
        """(B, S, D): noise, at some positions more than at others, and now and then half of another piece.

        The positions of a trained model have cosines of .25 to .7 with the piece that is said.
        """
        some = torch.rand_like(words[..., :2])
        other = torch.randint(1, self.lm.config.vocab_size, words.shape[:2], device=words.device)
        half = some[..., 1:] * HALF / HALF_WORDS * (some[..., 1:] < HALF_WORDS)
        gaussian = EMBEDDING_STD * (0.3 + 0.9 * some[..., :1]) * noise * self._beside(words)
        return gaussian + half * noise.clamp(max=1.0) * self._table(other)

    def _beside(self, words: Tensor) -> Tensor:
        """(B, S, D) of unit variance: isotropic in some rows, in the others along a few directions of the row's own."""
        rows, positions, width = words.shape
        weights = torch.rand(rows, 1, DIRECTIONS, device=words.device).square()
        shares = functional.normalize(weights, dim=-1) * torch.randn(rows, positions, DIRECTIONS, device=words.device)
        along = shares.to(words.dtype) @ torch.randn(rows, DIRECTIONS, width, device=words.device, dtype=words.dtype)
        few = torch.rand_like(words[:, :1, :1]) < FEW_DIRECTIONS
        return torch.where(few, along, torch.randn_like(words))

    def _table(self, ids: Tensor) -> Tensor:
        """Embeddings, but zeros for id 0: its row of the table is not zero, as the output head shares it."""
        return self.lm.get_input_embeddings()(ids) * (ids != 0)[..., None]

    def _blanks(self, words: Tensor) -> Tensor:
        """(B, S, D): what stands where nothing is said: most often a direction of the row's own, else faint noise.

        The norm behind the downsampler leaves no position empty; so the LLM learns to pass over what is no word.
        """
        row = torch.randn_like(words[:, :1]) * (torch.rand_like(words[:, :1, :1]) < FILLED_BLANKS)
        return EMBEDDING_STD * (row + BLANK_JITTER * torch.randn_like(words))

    def forward(self, batch: LmBatch) -> Tensor:
        """Logits (B, U, V)."""
        return self.lm(inputs_embeds=self.embed(batch), attention_mask=batch.mask, labels=batch.labels).logits

    def loss(self, batch: LmBatch) -> tuple[Tensor, dict[str, float]]:
        """Cross entropy a token, and the share of whole answers that are right.

        An answer counts with the root of its length: a label of two pieces would be lost beside transcripts of twenty.
        """
        batch = batch.to(self.lm.device)
        logits = self(batch)
        losses = functional.cross_entropy(
            logits.flatten(0, 1), batch.labels.flatten(), ignore_index=-100, reduction="none"
        )
        there = (batch.labels != -100).sum(dim=1)
        weights = there.float().rsqrt()
        loss = (losses.view_as(batch.labels).sum(dim=1) * weights).sum() / (there * weights).sum()
        wrong = (logits.detach().argmax(dim=-1) != batch.labels) & (batch.labels != -100)
        exact = 1.0 - float(wrong.any(dim=1).float().mean())
        return loss, {"exact": exact, "samples": float(len(batch.ids))}

    @torch.inference_mode()
    def answer(self, batch: LmBatch, max_new_tokens: int) -> list[list[int]]:
        """Greedy answers."""
        batch = batch.to(self.lm.device)
        ids = self.lm.generate(
            inputs_embeds=self.embed(batch), attention_mask=batch.mask, max_new_tokens=max_new_tokens, do_sample=False
        )
        return ids[:, 1:].tolist()
