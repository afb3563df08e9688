"""Answering by scoring: the log-probability of every choice, the prompt read once and all choices in one decoder batch.

B prompts, P prompt positions, E width of the LLM, C prompts times choices, N target tokens, V vocabulary.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from speechverse.decoding.questions import DecodingOptions, Question, inputs_of
from speechverse.protocols import Lengths, Model, ModelBatch, Processor
from speechverse.types import SAMPLING_RATE, Answer

EMPTY_SECONDS = 1.0
"""Length of the silence that stands for an empty utterance."""


class Candidate(NamedTuple):
    """One choice for one prompt: the prompt's row, and the choice's tokens with the end token."""

    row: int
    choice: str
    tokens: list[int]


def rank_choices(
    model: Model, processor: Processor, questions: Sequence[Question], options: DecodingOptions
) -> list[Answer]:
    """Answers each question with its best choice; `choice_scores` are what was compared (see `DecodingOptions`)."""
    scores = log_probs(model, processor, questions, options)
    if options.choice_scoring == "length":
        scores = [{choice: score / _length(processor, choice) for choice, score in row.items()} for row in scores]
    if options.choice_scoring == "prior":
        priors = _priors(model, processor, questions, options)
        scores = [
            {choice: score - prior[choice] for choice, score in row.items()}
            for row, prior in zip(scores, priors, strict=True)
        ]
    return [Answer(text=max(row, key=row.__getitem__), choice_scores=row) for row in scores]


def _length(processor: Processor, choice: str) -> int:
    return len(processor.encode_target(choice))


def _priors(
    model: Model, processor: Processor, questions: Sequence[Question], options: DecodingOptions
) -> list[dict[str, float]]:
    """The choices' log-probabilities where nothing is heard, once for each way of asking."""
    asked = {(question.instruction, question.constraint): _unheard(question) for question in questions}
    scores = dict(zip(asked, log_probs(model, processor, list(asked.values()), options), strict=True))
    return [scores[question.instruction, question.constraint] for question in questions]


def _unheard(question: Question) -> Question:
    if question.transcript is not None:
        return replace(question, transcript="")
    silence = np.zeros(round(EMPTY_SECONDS * SAMPLING_RATE), dtype=np.float32)
    return replace(question, samples=lambda: silence, features=None)


def log_probs(
    model: Model, processor: Processor, questions: Sequence[Question], options: DecodingOptions
) -> list[dict[str, float]]:
    """Log-probability of each choice of each question, end token included, in nats.

    Args:
        options: `batch_positions` bounds how many choices go together.

    Raises:
        AudioTooLongError: If a prompt and a choice together are more than the LLM can read.
    """
    batch = inputs_of(processor, questions).to(model.device)
    read = _read_by_encoder if model.config.is_encoder_decoder else _read_by_decoder
    log_probs_of = read(model, batch)
    candidates = [
        Candidate(row, choice, processor.encode_target(choice))
        for row, question in enumerate(questions)
        for choice in getattr(question.constraint, "choices", ())
    ]
    prompts = batch["attention_mask"].sum(dim=1).tolist()
    for candidate in candidates:
        processor.check_room(Lengths(prompts[candidate.row], len(candidate.tokens)))
    longest = batch["input_ids"].shape[1] + max(len(candidate.tokens) for candidate in candidates)
    scores: list[dict[str, float]] = [{} for _ in questions]
    room = max(1, options.batch_positions // longest)
    for start in range(0, len(candidates), room):
        chunk = candidates[start : start + room]
        for candidate, score in zip(chunk, log_probs_of(chunk).tolist(), strict=True):
            scores[candidate.row][candidate.choice] = score
    return scores


Scorer = Callable[[Sequence[Candidate]], Tensor]


def _read_by_encoder(model: Model, batch: ModelBatch) -> Scorer:
    """Reads prompts with the LLM's encoder; its decoder then sees the same memory for every choice."""
    llm, mask_BP = model.llm, batch["attention_mask"]
    memory_BPE = llm.get_encoder()(inputs_embeds=_embedded(model, batch), attention_mask=mask_BP)[0]

    def score(candidates: Sequence[Candidate]) -> Tensor:
        rows, tokens_CN = _rows(candidates, model.device), _padded(candidates, model.config.pad_id, model.device)
        start_C1 = torch.full_like(tokens_CN[:, :1], model.config.start_id)
        logits_CNV = llm(
            encoder_outputs=(memory_BPE[rows],),
            attention_mask=mask_BP[rows],
            decoder_input_ids=torch.cat([start_C1, tokens_CN[:, :-1]], dim=1),
            use_cache=False,
        ).logits
        return _summed(logits_CNV, tokens_CN, candidates)

    return score


def _read_by_decoder(model: Model, batch: ModelBatch) -> Scorer:
    """Reads prompts (padded on the left) into the key-value cache; every choice goes on from there."""
    llm, mask_BP = model.llm, batch["attention_mask"]
    positions_BP = (mask_BP.cumsum(dim=1) - 1).clamp(min=0)
    last = (model.config.llm_max_positions or sys.maxsize) - 1
    prompt = llm(
        inputs_embeds=_embedded(model, batch), attention_mask=mask_BP, position_ids=positions_BP, use_cache=True
    )

    def score(candidates: Sequence[Candidate]) -> Tensor:
        rows, tokens_CN = _rows(candidates, model.device), _padded(candidates, model.config.pad_id, model.device)
        cache = copy.deepcopy(prompt.past_key_values)
        cache.batch_select_indices(rows)
        steps = torch.arange(1, tokens_CN.shape[1], device=model.device)
        logits_CNV = llm(
            input_ids=tokens_CN[:, :-1],
            attention_mask=torch.cat([mask_BP[rows], torch.ones_like(tokens_CN[:, :-1])], dim=1),
            # Behind a shorter choice there is padding, which need not lie within the LLM's positions.
            position_ids=(positions_BP[rows, -1:] + steps).clamp(max=last),
            past_key_values=cache,
            use_cache=True,
        ).logits
        return _summed(torch.cat([prompt.logits[rows, -1:], logits_CNV], dim=1), tokens_CN, candidates)

    return score


def _embedded(model: Model, batch: ModelBatch) -> Tensor:
    """[audio ; prompt] as the LLM takes it, shape (B, P, E)."""
    return model.embed_prompt(batch["input_ids"], batch.get("audio_inputs"), batch.get("encoder_output"))


def _rows(candidates: Sequence[Candidate], device: torch.device) -> Tensor:
    return torch.tensor([candidate.row for candidate in candidates], device=device)


def _padded(candidates: Sequence[Candidate], fill: int, device: torch.device) -> Tensor:
    size = max(len(candidate.tokens) for candidate in candidates)
    return torch.tensor([[*c.tokens, *[fill] * (size - len(c.tokens))] for c in candidates], device=device)


def _summed(logits_CNV: Tensor, tokens_CN: Tensor, candidates: Sequence[Candidate]) -> Tensor:
    """Log-probability of each candidate's true tokens, shape (C,)."""
    by_token_CN = logits_CNV.float().log_softmax(dim=-1).gather(-1, tokens_CN[..., None]).squeeze(-1)
    lengths_C1 = torch.tensor([[len(candidate.tokens)] for candidate in candidates], device=tokens_CN.device)
    is_true_CN = torch.arange(tokens_CN.shape[1], device=tokens_CN.device) < lengths_C1
    return (by_token_CN * is_true_CN).sum(dim=1)
