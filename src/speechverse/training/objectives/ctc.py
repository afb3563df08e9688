"""CTC: positions against the LLM's own token embeddings, or an encoder's frames against a head of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from speechverse.data import Batch
from speechverse.encoders.ctc_loss import ctc_nll
from speechverse.seeding import rng_for
from speechverse.training.loss import ExampleLosses, num_target_tokens
from speechverse.types import IGNORED

_MOST_CANDIDATES = 4096
"""Tokens that spelling is scored against at most: over the 49,152 of SmolLM2 they would be most of a step."""


def head_losses(model: Any, batch: Batch) -> ExampleLosses:
    """Of an encoder's CTC head (`EncoderForPreTraining`); an example whose target cannot be aligned counts 0."""
    inputs = batch.inputs
    lengths, labels = inputs["frame_lengths"], inputs["labels"]
    logits_BTV = model(inputs["input_features"], lengths, "ctc")
    targets = [[piece for piece in row if piece != IGNORED] for row in labels.tolist()]
    num_tokens = num_target_tokens(labels)
    return ExampleLosses(ctc_nll(logits_BTV, lengths, targets) * (num_tokens > 0), num_tokens)


def embedding_losses(model: Any, batch: Batch) -> ExampleLosses:
    """What a micro-batch's audio positions say by the LLM's own embeddings, compared with its targets.

    A transcript's tokens are spelled along the positions (CTC; the blank is the filling token, ends are not spelled). A
    label, which no single position says, is what all of them lean to: the one among the choices whose telling token is
    nearest on average. The LLM is not run: this is cheap, and positions come to lie where it has learned to read.

    Args:
        model: A SpeechVerse model, wrapped or not.
        batch: On the model's device; its `choices` are None where a transcript is to be spelled.
    """
    inputs, choices = batch.inputs, batch.choices
    config = getattr(model, "module", model).config
    unspelled = (IGNORED, config.end_id, config.pad_id)
    targets = [[t for t in row if t not in unspelled] for row in inputs["labels"].tolist()]
    asked = [among.tokens if among else targets[row] for row, among in enumerate(choices)]
    tokens = _candidates(asked, config.pad_id, config.audio_token_id)
    place = {token: index for index, token in enumerate(tokens)}
    heard = {name: inputs[name] for name in ("audio_inputs", "encoder_output") if name in inputs}
    candidates = torch.tensor(tokens, device=inputs["input_ids"].device)
    output = model(inputs["input_ids"], inputs["attention_mask"], spelling=candidates, **heard)
    num_tokens, nll = num_target_tokens(inputs["labels"]), output.logits.new_zeros(len(choices), dtype=torch.float32)
    if spelled := [row for row, among in enumerate(choices) if among is None]:
        units = [[place[token] for token in targets[row]] for row in spelled]
        nll[spelled] = ctc_nll(output.logits[spelled], output.lengths[spelled], units, place[config.pad_id])
    for row, among in enumerate(choices):
        if among is not None:
            among_them = [place[token] for token in among.tokens]
            leaning = output.logits[row, : output.lengths[row], among_them].float().mean(dim=0)
            nll[row] = -leaning.log_softmax(dim=0)[among.right]
    # A clip that could not be used is silence without labels; CTC would learn its silence.
    return ExampleLosses(nll * (num_tokens > 0), num_tokens)


def _candidates(asked: Sequence[Sequence[int]], blank: int, vocabulary: int) -> list[int]:
    """The tokens a micro-batch is scored against: its own, the blank, and others of the whole vocabulary.

    All of a small vocabulary; of a large one so many others as a step can afford, drawn anew for each micro-batch.
    """
    if vocabulary <= _MOST_CANDIDATES:
        return list(range(vocabulary))
    own = {blank, *(token for tokens in asked for token in tokens)}
    drawn = rng_for(0, *asked).sample(range(vocabulary), max(0, _MOST_CANDIDATES - len(own)))
    return sorted(own.union(drawn))
