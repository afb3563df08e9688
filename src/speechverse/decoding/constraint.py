"""Logits processors: what an automaton forbids gets probability zero; an answer that turns in
circles is ended.

B rows (times beams), T tokens so far, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor

from speechverse.decoding.automaton import TokenAutomaton

MAX_PERIOD = 16
MIN_REPEATS = 3
MIN_LOOP_TOKENS = 24
DONE = object()
"""The state of a row whose answer is whole: padding follows, and its scores do not matter."""


class ConstraintLogitsProcessor(LogitsProcessor):
    """Keeps each row of a batch inside its automaton, greedy or with beams. Made anew for every
    call of `generate`.

    Whatever stands in `input_ids` at the first step is taken for the prefix: the decoder's start
    token, or nothing, where a decoder-only LLM is given `inputs_embeds`.
    """

    def __init__(self, automata: Sequence[TokenAutomaton], num_beams: int = 1) -> None:
        self.automata = automata
        self.num_beams = num_beams
        self.prefix_length: int | None = None
        self.states: dict[tuple[int, tuple[int, ...]], Any] = {}

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Masks scores (B, V) by what may follow `input_ids` (B, T)."""
        if self.prefix_length is None:
            self.prefix_length = input_ids.shape[1]
        mask = torch.zeros_like(scores, dtype=torch.bool)
        states = {}
        for row, tokens in enumerate(input_ids[:, self.prefix_length :].tolist()):
            example = row // self.num_beams
            automaton = self.automata[example]
            state = states[example, tuple(tokens)] = self._state(automaton, example, tokens)
            if state is not DONE:
                mask[row] = True
                mask[row, _allowed(automaton, state).to(scores.device)] = False
        self.states = states
        return scores.masked_fill(mask, -torch.inf)

    def _state(self, automaton: TokenAutomaton, example: int, tokens: list[int]) -> Any:
        """The state of a row, from that of the row it grew from: beams may have changed places
        since.
        """
        if not tokens:
            return automaton.start
        before = self.states[example, tuple(tokens[:-1])]
        if before is DONE or before is None:
            return before
        state: Any = automaton.advance(before, tokens[-1])
        return DONE if state is not None and not len(automaton.allowed(state)) else state


def _allowed(automaton: TokenAutomaton, state: Any) -> Tensor:
    """Nothing may follow where a beam has left the set: it then has probability zero and can never
    win.
    """
    return torch.empty(0, dtype=torch.long) if state is None else automaton.allowed(state)


class LoopGuard(LogitsProcessor):
    """Ends a free answer that repeats one block of at most 16 tokens, three times or more, over 24
    tokens or more.

    Short true repeats ("nine nine nine") stay. `ended` holds the examples that were stopped.
    """

    def __init__(self, end_token_id: int, pad_token_id: int, num_beams: int = 1) -> None:
        self.end_token_id = end_token_id
        self.after_end = {end_token_id, pad_token_id}
        self.num_beams = num_beams
        self.ended: set[int] = set()

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Leaves only the end token in the scores (B, V) of rows that turn in circles."""
        if input_ids.shape[1] < MIN_LOOP_TOKENS:
            return scores
        for row, tokens in enumerate(input_ids[:, -MAX_PERIOD * MIN_REPEATS :].tolist()):
            example = row // self.num_beams
            if tokens[-1] not in self.after_end and is_loop(tokens):
                self.ended.add(example)
                scores[row] = -torch.inf
                scores[row, self.end_token_id] = 0.0
        return scores


def is_loop(tokens: Sequence[int]) -> bool:
    """Whether the sequence ends in a short block repeated often enough."""
    for period in range(1, MAX_PERIOD + 1):
        span = max(MIN_LOOP_TOKENS, period * MIN_REPEATS)
        tail = tokens[-span:]
        if len(tail) == span and tail[period:] == tail[:-period]:
            return True
    return False
