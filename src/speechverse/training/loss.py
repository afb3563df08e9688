"""The loss of a global step, and its sums by task for the log."""

# B examples, S label positions, V vocabulary

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from speechverse.data import Batch, Choices
from speechverse.encoders.ctc_loss import ctc_nll
from speechverse.seeding import rng_for
from speechverse.types import IGNORED

_MOST_CANDIDATES = 4096
"""Tokens that spelling is scored against at most: over the 49,152 of SmolLM2 they would be most of a step."""


class ExampleLosses(NamedTuple):
    """Per example of a micro-batch: summed negative log-likelihood and number of its target tokens, both (B,)."""

    nll: Tensor
    num_tokens: Tensor


def example_losses(model: Any, batch: Batch, objective: str = "answer") -> ExampleLosses:
    """Runs the model on one micro-batch with labels.

    Args:
        model: A SpeechVerse model, wrapped or not; its labels are aligned with its logits.
        batch: Examples, on the model's device.
        objective: The stage's: "answer", or "spell" (see `spelling_losses`).
    """
    inputs = batch.inputs
    if objective == "spell":
        return spelling_losses(model, inputs, batch.choices)
    labels = inputs["labels"]
    asked = {name: value for name, value in inputs.items() if name != "labels"}  # the model's own mean is not needed
    if "decoder_input_ids" not in inputs:  # a prompt is most of a row, and its logits are most of the head's work
        asked["logits_at"] = batch.labelled
        labels = labels[:, batch.labelled]
    logits_BSV = model(**asked).logits
    nll = F.cross_entropy(
        logits_BSV.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none"
    ).view_as(labels)
    return ExampleLosses(nll.sum(1), num_target_tokens(labels))


def spelling_losses(model: Any, inputs: Any, choices: Sequence[Choices | None]) -> ExampleLosses:
    """What a micro-batch's audio positions say by the LLM's own embeddings, compared with its targets.

    A transcript's tokens are spelled along the positions (CTC; the blank is the filling token, ends are not spelled). A
    label, which no single position says, is what all of them lean to: the one among the choices whose telling token is
    nearest on average. The LLM is not run: this is cheap, and positions come to lie where it has learned to read.

    Args:
        model: A SpeechVerse model, wrapped or not.
        inputs: What the processor made, on the model's device.
        choices: Of each row, None where a transcript is to be spelled.
    """
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


def num_target_tokens(labels: Tensor) -> Tensor:
    """Target tokens of each example, (B,)."""
    return (labels != IGNORED).sum(1)


def weighted_tokens(batches: Sequence[Any]) -> Tensor:
    """Sum of loss weight × target tokens over micro-batches: what a step's loss is divided by.

    Divided by this sum over the *global* batch, the gradient is the same however the batch is cut into micro-batches
    and dealt to processes.
    """
    sums = [(batch.loss_weights * num_target_tokens(batch.inputs["labels"])).sum() for batch in batches]
    return torch.stack(sums).sum()


class TaskSums:
    """Losses by task since the last log; tensors are kept as they are until somebody reads, so no step waits."""

    def __init__(self, sums: Mapping[str, Sequence[float]] | None = None) -> None:
        """Starts empty, or from sums that `read` gave before a run was stopped."""
        self._sums: dict[str, list[float]] = {task: list(values) for task, values in (sums or {}).items()}
        self._waiting: list[tuple[Sequence[str], Tensor, ExampleLosses]] = []

    def add(self, tasks: Sequence[str], loss_weights: Tensor, losses: ExampleLosses) -> None:
        """Adds one micro-batch, with its examples' tasks and loss weights (B,)."""
        self._waiting.append((tasks, loss_weights, ExampleLosses(losses.nll.detach(), losses.num_tokens)))

    def read(self) -> dict[str, list[float]]:
        """Task → log-likelihood and target tokens, plain and times the loss weight; waits for the device."""
        for tasks, weights, losses in self._waiting:
            for task, weight, nll, tokens in zip(tasks, *(t.tolist() for t in (weights, *losses)), strict=True):
                row = (nll, tokens, nll * weight, tokens * weight)
                self._sums[task] = [a + b for a, b in zip(self._sums.get(task, [0.0] * 4), row, strict=True)]
        self._waiting.clear()
        return dict(self._sums)

    def clear(self) -> None:
        """Starts the next window."""
        self._waiting.clear()
        self._sums.clear()


def merge_sums(parts: Iterable[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """Adds up the sums of several processes."""
    merged: dict[str, list[float]] = {}
    for part in parts:
        for task, row in part.items():
            merged[task] = [a + b for a, b in zip(merged.get(task, [0.0] * 4), row, strict=True)]
    return merged


def loss_numbers(sums: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The mean loss per target token: over all, with loss weights as it is trained on, and plain by task."""
    weighted_nll, weight = (sum(row[column] for row in sums.values()) for column in (2, 3))
    by_task = {f"loss/{task}": row[0] / row[1] for task, row in sorted(sums.items()) if row[1]}
    return {"loss": weighted_nll / weight if weight else 0.0, **by_task}
