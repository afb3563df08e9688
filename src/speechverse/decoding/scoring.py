"""Answering by scoring: the log-probability of every choice, the prompt read once, all choices in
one pass behind it.

B prompts, P prompt positions, E width of the LLM, C prompts times choices, N nodes or target
tokens, V vocabulary.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from inspect import signature
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from speechverse.batching import in_batches
from speechverse.decoding.options import DecodingOptions
from speechverse.decoding.questions import Question, inputs_of
from speechverse.errors import UserError
from speechverse.protocols import Model, ModelBatch, Processor
from speechverse.tasks import ConstraintSpec
from speechverse.types import SAMPLING_RATE, Answer, Lengths, Prompt

EMPTY_SECONDS = 1.0
"""Length of the silence that stands for an empty utterance."""


class Candidate(NamedTuple):
    """One choice for one prompt: the prompt's row, and the choice's tokens with the end token."""

    row: int
    choice: str
    tokens: list[int]


Priors = dict[tuple[Prompt, ConstraintSpec | None], dict[str, float]]
"""By instruction and choices, the choices' log-probabilities where nothing is heard."""


def rank_choices(
    model: Model,
    processor: Processor,
    questions: Sequence[Question],
    options: DecodingOptions,
    priors: Priors,
) -> list[Answer]:
    """Answers each question with its best choice; `choice_scores` are what was compared (see
    `DecodingOptions`).

    Args:
        priors: Those known; others that are needed are added.
    """
    scores = log_probs(model, processor, questions, options)
    if options.choice_scoring == "length":
        scores = [
            {choice: score / _length(processor, choice) for choice, score in row.items()}
            for row in scores
        ]
    if options.choice_scoring == "prior":
        _add_priors(priors, model, processor, questions, options)
        scores = [
            {choice: score - priors[_key(question)][choice] for choice, score in row.items()}
            for row, question in zip(scores, questions, strict=True)
        ]
    return [
        Answer(text=max(row, key=row.__getitem__), choice_scores=row, ended="constraint")
        for row in scores
    ]


def _length(processor: Processor, choice: str) -> int:
    return len(processor.encode_target(choice))


def _key(question: Question) -> tuple[Prompt, ConstraintSpec | None]:
    return question.instruction, question.constraint


def _add_priors(
    priors: Priors,
    model: Model,
    processor: Processor,
    questions: Sequence[Question],
    options: DecodingOptions,
) -> None:
    """Adds what is not known yet, once for each way of asking."""
    new = {
        _key(question): _without_sound(question)
        for question in questions
        if _key(question) not in priors
    }
    if new:
        made = log_probs(model, processor, list(new.values()), options)
        priors.update(zip(new, made, strict=True))


def _without_sound(question: Question) -> Question:
    num_clips = getattr(question.instruction, "num_clips", None)
    if question.transcript is not None:
        return replace(question, transcript="" if num_clips is None else [""] * num_clips)
    silence = np.zeros(round(EMPTY_SECONDS * SAMPLING_RATE), dtype=np.float32)
    heard = silence if num_clips is None else [silence] * num_clips
    return replace(question, samples=lambda: heard, features=None)


def log_probs(
    model: Model, processor: Processor, questions: Sequence[Question], options: DecodingOptions
) -> list[dict[str, float]]:
    """Log-probability of each choice of each question, end token included, in nats.

    Args:
        options: `batch_positions` bounds how many questions and choices go together.

    Raises:
        AudioTooLongError: If a prompt and a choice together are more than the LLM can read.
        UserError: If the LLM has layers that cannot be asked about several texts at once.
    """
    _refuse_recurrent(model)
    batch = inputs_of(processor, questions).to(model.device)
    prompts = batch["attention_mask"].sum(dim=1).tolist()
    candidates = [
        Candidate(row, choice, processor.encode_target(choice))
        for row, question in enumerate(questions)
        for choice in getattr(question.constraint, "choices", ())
    ]
    for candidate in candidates:
        processor.check_room(Lengths(prompts[candidate.row], len(candidate.tokens)))
    trees = [Tree.of([c for c in candidates if c.row == row]) for row in range(len(questions))]
    positions = batch["input_ids"].shape[1] + max(len(tree.tokens) for tree in trees)
    if not _takes_trees(model, positions):
        return _one_by_one(model, batch, candidates, len(questions), options)
    if len(questions) > 1 and positions * len(questions) > options.batch_positions:
        half = len(questions) // 2
        return [
            row
            for part in (questions[:half], questions[half:])
            for row in log_probs(model, processor, part, options)
        ]
    return _by_tree(model, batch, trees)


class Tree(NamedTuple):
    """A question's choices, what they begin with alike put together: each position of the LLM is
    computed once.

    Node 0 is the end of the prompt. What ends a choice is no node: nothing comes after it.

    Attributes:
        tokens: Of each node but the first.
        depths: Of each node but the first, from 0.
        above: The nodes but the first that each of them goes on from, itself included.
        steps: By choice, (node, token that comes next) for each of its tokens.
    """

    tokens: list[int]
    depths: list[int]
    above: list[list[int]]
    steps: dict[str, list[tuple[int, int]]]

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> Tree:
        tree, nodes = cls([], [], [], {}), dict[tuple[int, ...], int]({(): 0})
        for _, choice, tokens in candidates:
            path: list[int] = []
            for depth, token in enumerate(tokens[:-1]):
                begun = tuple(tokens[: depth + 1])
                if begun not in nodes:
                    nodes[begun] = len(nodes)
                    tree.tokens.append(token)
                    tree.depths.append(depth)
                    tree.above.append([*path, nodes[begun] - 1])
                path.append(nodes[begun] - 1)
            tree.steps[choice] = [
                (nodes[tuple(tokens[:place])], token) for place, token in enumerate(tokens)
            ]
        return tree


def _refuse_recurrent(model: Model) -> None:
    """Layers of convolution or recurrence see what was read before, whatever the mask says, and
    their memory cannot be gone on from twice: scores would be silently wrong.
    """
    layers = getattr(model.llm.config.get_text_config(), "layer_types", None) or ()
    others = [
        kind for kind in layers if not kind.endswith("attention") or kind.startswith("linear")
    ]
    if others or getattr(model.llm, "_is_stateful", False):
        raise UserError(
            f"scores and log-probabilities want an LLM of attention layers alone, and"
            f" {type(model.llm).__name__} has others: take choice_mode='constrain', without them"
        )


def _takes_trees(model: Model, positions: int) -> bool:
    """Whether the LLM goes by the positions and the mask it is told: decoders do that have no
    window and no bias.
    """
    if (
        model.config.is_encoder_decoder
        or "position_ids" not in signature(model.llm.forward).parameters
    ):
        return False
    window = getattr(model.llm.config.get_text_config(), "sliding_window", None)
    return window is None or positions <= window


def _by_tree(model: Model, batch: ModelBatch, trees: Sequence[Tree]) -> list[dict[str, float]]:
    """Reads the prompts (padded on the left) once, then all nodes of all trees in one pass behind
    them.
    """
    llm, mask_BP = model.llm, batch["attention_mask"]
    positions_BP = (mask_BP.cumsum(dim=1) - 1).clamp(min=0)
    read = llm(
        inputs_embeds=_embed(model, batch),
        attention_mask=mask_BP,
        position_ids=positions_BP,
        use_cache=True,
        logits_to_keep=1,
    )
    logits_BNV = read.logits
    if num_nodes := max(len(tree.tokens) for tree in trees):
        tokens_BN = torch.tensor(
            [_fill(tree.tokens, num_nodes, model.config.pad_id) for tree in trees]
        )
        depths_BN = torch.tensor([_fill(tree.depths, num_nodes, 0) for tree in trees])
        told = llm(
            input_ids=tokens_BN.to(model.device),
            attention_mask=_tree_mask(trees, mask_BP, num_nodes, logits_BNV.dtype),
            position_ids=positions_BP[:, -1:] + 1 + depths_BN.to(model.device),
            past_key_values=read.past_key_values,
            use_cache=True,
        )
        logits_BNV = torch.cat([logits_BNV, told.logits], dim=1)
    return [_step_sums(tree, logits_NV) for tree, logits_NV in zip(trees, logits_BNV, strict=True)]


def _fill(values: list[int], size: int, fill: int) -> list[int]:
    return values + [fill] * (size - len(values))


def _tree_mask(
    trees: Sequence[Tree], mask_BP: Tensor, num_nodes: int, dtype: torch.dtype
) -> Tensor:
    """What each node sees, to be added to attention: its prompt, what it goes on from, and itself;
    (B, 1, N, P + N).
    """
    sees = torch.eye(num_nodes, dtype=torch.bool).repeat(len(trees), 1, 1)
    for row, tree in enumerate(trees):
        for node, above in enumerate(tree.above):
            sees[row, node, above] = True
    prompt_BNP = mask_BP.bool()[:, None].expand(-1, num_nodes, -1)
    sees_BNK = torch.cat([prompt_BNP, sees.to(mask_BP.device)], dim=-1)
    hidden = torch.zeros(sees_BNK.shape, dtype=dtype, device=mask_BP.device)
    return hidden.masked_fill_(~sees_BNK, torch.finfo(dtype).min)[:, None]


def _step_sums(tree: Tree, logits_NV: Tensor) -> dict[str, float]:
    """The choices' log-probabilities, from the logits behind the prompt and behind each node."""
    steps = [step for steps in tree.steps.values() for step in steps]
    nodes, tokens = (
        torch.tensor(column, device=logits_NV.device) for column in zip(*steps, strict=True)
    )
    told = logits_NV[: len(tree.tokens) + 1].float()
    by_step = (told[nodes, tokens] - told.logsumexp(dim=-1)[nodes]).tolist()
    sums, place = {}, 0
    for choice, own in tree.steps.items():
        sums[choice] = sum(by_step[place : place + len(own)])
        place += len(own)
    return sums


def _one_by_one(
    model: Model,
    batch: ModelBatch,
    candidates: Sequence[Candidate],
    num_questions: int,
    options: DecodingOptions,
) -> list[dict[str, float]]:
    """The prompts are read once, and each choice by itself behind a copy of what was read."""
    scores: list[dict[str, float]] = [{} for _ in range(num_questions)]
    for candidate, steps in zip(candidates, _steps(model, batch, candidates, options), strict=True):
        scores[candidate.row][candidate.choice] = sum(steps)
    return scores


def token_log_probs(
    model: Model,
    processor: Processor,
    questions: Sequence[Question],
    answers: Sequence[Sequence[int]],
    options: DecodingOptions,
) -> list[list[float]]:
    """Log-probability of each token of the questions' answers, in nats, as the model itself holds
    it.

    Raises:
        UserError: As `log_probs`.
    """
    _refuse_recurrent(model)
    batch = inputs_of(processor, questions).to(model.device)
    candidates = [Candidate(row, "", list(tokens)) for row, tokens in enumerate(answers)]
    return _steps(model, batch, candidates, options)


def _steps(
    model: Model, batch: ModelBatch, candidates: Sequence[Candidate], options: DecodingOptions
) -> list[list[float]]:
    """Log-probabilities of the tokens of each candidate, some candidates at a time."""
    read = _read_by_encoder if model.config.is_encoder_decoder else _read_by_decoder
    log_probs_of = read(model, batch)
    longest = batch["input_ids"].shape[1] + max(len(candidate.tokens) for candidate in candidates)
    room = max(1, options.batch_positions // longest)
    steps = []
    for chunk in in_batches(candidates, room):
        rows = log_probs_of(chunk).tolist()
        steps += [row[: len(one.tokens)] for row, one in zip(rows, chunk, strict=True)]
    return steps


Scorer = Callable[[Sequence[Candidate]], Tensor]
"""Log-probability of each token of some candidates, shape (C, N)."""


def _read_by_encoder(model: Model, batch: ModelBatch) -> Scorer:
    """Reads prompts with the LLM's encoder; its decoder then sees the same memory
    for every choice.
    """
    llm, mask_BP = model.llm, batch["attention_mask"]
    start_id = model.config.start_id
    assert start_id is not None, "the decoder of an encoder-decoder starts from a token"
    memory_BPE = llm.get_encoder()(inputs_embeds=_embed(model, batch), attention_mask=mask_BP)[0]

    def score(candidates: Sequence[Candidate]) -> Tensor:
        rows, tokens_CN = (
            _rows(candidates, model.device),
            _pad(candidates, model.config.pad_id, model.device),
        )
        start_C1 = torch.full_like(tokens_CN[:, :1], start_id)
        logits_CNV = llm(
            encoder_outputs=(memory_BPE[rows],),
            attention_mask=mask_BP[rows],
            decoder_input_ids=torch.cat([start_C1, tokens_CN[:, :-1]], dim=1),
            use_cache=False,
        ).logits
        return _by_token(logits_CNV, tokens_CN)

    return score


def _read_by_decoder(model: Model, batch: ModelBatch) -> Scorer:
    """Reads prompts (padded on the left) into the key-value cache; every choice
    goes on from there.
    """
    llm, mask_BP = model.llm, batch["attention_mask"]
    positions_BP = (mask_BP.cumsum(dim=1) - 1).clamp(min=0)
    last = (model.config.llm_max_positions or sys.maxsize) - 1
    prompt = llm(
        inputs_embeds=_embed(model, batch),
        attention_mask=mask_BP,
        position_ids=positions_BP,
        use_cache=True,
        logits_to_keep=1,
    )

    def score(candidates: Sequence[Candidate]) -> Tensor:
        rows, tokens_CN = (
            _rows(candidates, model.device),
            _pad(candidates, model.config.pad_id, model.device),
        )
        if tokens_CN.shape[1] == 1:
            return _by_token(prompt.logits[rows], tokens_CN)
        cache = copy.deepcopy(prompt.past_key_values)
        cache.batch_select_indices(rows)
        steps = torch.arange(1, tokens_CN.shape[1], device=model.device)
        logits_CNV = llm(
            input_ids=tokens_CN[:, :-1],
            attention_mask=torch.cat([mask_BP[rows], torch.ones_like(tokens_CN[:, :-1])], dim=1),
            # Behind a shorter choice there is padding, which need not lie within the LLM's
            # positions.
            position_ids=(positions_BP[rows, -1:] + steps).clamp(max=last),
            past_key_values=cache,
            use_cache=True,
        ).logits
        return _by_token(torch.cat([prompt.logits[rows], logits_CNV], dim=1), tokens_CN)

    return score


def _embed(model: Model, batch: ModelBatch) -> Tensor:
    """[audio ; prompt] as the LLM takes it, shape (B, P, E)."""
    return model.embed_prompt(
        batch["input_ids"], batch.get("audio_inputs"), batch.get("encoder_output")
    )


def _rows(candidates: Sequence[Candidate], device: torch.device) -> Tensor:
    return torch.tensor([candidate.row for candidate in candidates], device=device)


def _pad(candidates: Sequence[Candidate], fill: int, device: torch.device) -> Tensor:
    size = max(len(candidate.tokens) for candidate in candidates)
    return torch.tensor(
        [[*c.tokens, *[fill] * (size - len(c.tokens))] for c in candidates], device=device
    )


def _by_token(logits_CNV: Tensor, tokens_CN: Tensor) -> Tensor:
    """Log-probability of each token, shape (C, N); of padding too, which means nothing."""
    return logits_CNV.float().log_softmax(dim=-1).gather(-1, tokens_CN[..., None]).squeeze(-1)
