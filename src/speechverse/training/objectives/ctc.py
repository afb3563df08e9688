"""CTC against the LLM's token embeddings, or by a head of the encoder's own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from speechverse.data import Batch
from speechverse.encoders.ctc_loss import ctc_nll
from speechverse.models import SpeechVerseConfig, SpeechVerseForConditionalGeneration
from speechverse.seeding import rng_for
from speechverse.training.loss import ExampleLosses, num_target_tokens
from speechverse.types import IGNORED

log = logging.getLogger(__name__)

_MOST_CANDIDATES = 4096
"""Tokens that a step is scored against at most: the 49,152 of SmolLM2 would be most of a step."""


def ctc_losses(model: nn.Module, batch: Batch) -> ExampleLosses:
    """Runs a model, wrapped or not, with an LLM or with a head of its own."""
    bare = getattr(model, "module", model)
    if isinstance(bare, SpeechVerseForConditionalGeneration):
        return embedding_losses(model, bare.config, batch)
    return head_losses(model, batch)


def head_losses(model: nn.Module, batch: Batch) -> ExampleLosses:
    """Of an encoder's CTC head; an example whose target cannot be aligned counts 0."""
    inputs = batch.inputs
    lengths, labels = inputs["frame_lengths"], inputs["labels"]
    logits_BTV = model(inputs["input_features"], lengths, "ctc")
    targets = [[piece for piece in row if piece != IGNORED] for row in labels.tolist()]
    num_tokens = num_target_tokens(labels)
    nll = ctc_nll(logits_BTV, lengths, targets) * (num_tokens > 0)
    return ExampleLosses(nll, num_tokens, blank_share(logits_BTV, lengths, 0))


def blank_share(logits_BTV: Tensor, lengths: Tensor, blank: int) -> dict[str, Tensor]:
    """How many of the true positions (B,) say the blank: near 1, nothing is written yet."""
    silent_BT = logits_BTV.detach().argmax(-1) == blank
    true_BT = torch.arange(silent_BT.shape[1], device=lengths.device) < lengths[:, None]
    return {"blank_share": (silent_BT & true_BT).sum() / true_BT.sum().clamp_min(1)}


def embedding_losses(model: nn.Module, config: SpeechVerseConfig, batch: Batch) -> ExampleLosses:
    """Of a model's audio positions against the LLM's embeddings; the LLM is not run.

    A transcript's tokens lie along the positions (the blank is the filling token). A label, which
    no single position says, is told by a softmax over its choices: the mean logits of their
    distinguishing tokens.
    """
    inputs, choices = batch.inputs, batch.choices
    left_out = (IGNORED, config.end_id, config.pad_id)
    targets = [[t for t in row if t not in left_out] for row in inputs["labels"].tolist()]
    asked = [among.tokens if among else targets[row] for row, among in enumerate(choices)]
    tokens = _candidates(asked, config.pad_id, config.audio_token_id)
    place = {token: index for index, token in enumerate(tokens)}
    heard = {name: inputs[name] for name in ("audio_inputs", "encoder_output") if name in inputs}
    candidates = torch.tensor(tokens, device=inputs["input_ids"].device)
    output = model(inputs["input_ids"], inputs["attention_mask"], ctc_tokens=candidates, **heard)
    num_tokens = num_target_tokens(inputs["labels"])
    nll = output.logits.new_zeros(len(choices), dtype=torch.float32)
    watched: dict[str, Tensor] = {}
    if aligned := [row for row, among in enumerate(choices) if among is None]:
        units = [[place[token] for token in targets[row]] for row in aligned]
        written = output.logits[aligned], output.lengths[aligned]
        nll[aligned] = ctc_nll(*written, units, place[config.pad_id])
        watched = blank_share(*written, place[config.pad_id])
    for row, among in enumerate(choices):
        if among is not None:
            if len(set(among.tokens)) < len(among.tokens):
                _warn_of_one_token(batch.tasks[row])
            among_them = [place[token] for token in among.tokens]
            mean_logits = output.logits[row, : output.lengths[row], among_them].float().mean(dim=0)
            nll[row] = -mean_logits.log_softmax(dim=0)[among.right]
    # A clip that could not be used is silence without labels; CTC would learn its silence.
    return ExampleLosses(nll * (num_tokens > 0), num_tokens, watched)


@cache
def _warn_of_one_token(task: str) -> None:
    log.warning(
        "%s: labels that share a token of the LLM, and have none of their own, are not told apart"
        " by the objective 'ctc'; rename them, or teach the task by 'answer'",
        task,
    )


def _candidates(asked: Sequence[Sequence[int]], blank: int, vocabulary: int) -> list[int]:
    """The tokens a micro-batch is scored against: its own, the blank, and others drawn anew."""
    if vocabulary <= _MOST_CANDIDATES:
        return list(range(vocabulary))
    own = {blank, *(token for tokens in asked for token in tokens)}
    drawn = rng_for(0, *asked).sample(range(vocabulary), max(0, _MOST_CANDIDATES - len(own)))
    return sorted(own.union(drawn))
