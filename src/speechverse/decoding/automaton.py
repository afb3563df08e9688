"""Constraint specs turned into automata over a tokenizer's own pieces.

A label is only ever spelt the way the tokenizer spells it: other pieces with the same text are
answers the model was never taught, and their probabilities mean nothing. A state is a plain value,
so beams may be reordered freely.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from speechverse.errors import UserError
from speechverse.protocols import Processor

ROOT = 0
MAX_SLOTS = 12
MAX_VALUE_TOKENS = 24


class LabelTrie:
    """Admits exactly the given labels, each as its own token sequence.

    Args:
        sequences: By label, its tokens, closed by the end token where labels are whole answers.

    Raises:
        UserError: If two labels are spelt by the same tokens.
    """

    start = ROOT

    def __init__(self, sequences: Mapping[str, Sequence[int]]) -> None:
        self.children: list[dict[int, int]] = [{}]
        self.leaves: dict[int, str] = {}
        self.max_length = max(map(len, sequences.values()))
        for label, sequence in sequences.items():
            twin = self.leaves.setdefault(self._add(sequence), label)
            if twin != label:
                raise UserError(
                    f"the tokenizer spells '{twin}' and '{label}' with the same tokens; rename one"
                    " of them"
                )

    @classmethod
    def of(cls, labels: Iterable[str], processor: Processor) -> LabelTrie:
        """The trie of some labels, each in the tokenizer's own pieces."""
        return cls({label: processor.encode_target(label) for label in labels})

    def _add(self, sequence: Sequence[int]) -> int:
        node = ROOT
        for token in sequence:
            if token not in self.children[node]:
                self.children[node][token] = len(self.children)
                self.children.append({})
            node = self.children[node][token]
        return node

    def allowed(self, state: int) -> Tensor:
        return torch.tensor(list(self.children[state]), dtype=torch.long)

    def advance(self, state: int, token: int) -> int | None:
        return self.children[state].get(token)

    def label_of(self, tokens: Sequence[int]) -> str | None:
        """The label that a generated row spells; what follows its end is padding. None if it spells
        none.
        """
        state: int | None = ROOT
        for token in tokens:
            if state is None or state in self.leaves:
                break
            state = self.advance(state, token)
        return None if state is None else self.leaves.get(state)


class SlotState(NamedTuple):
    """Where a slot list stands: before a label (`first`, `next`), before its value (`blank`), or in
    it (`value`).
    """

    part: str
    node: int
    num_slots: int


class SlotListAutomaton:
    """Admits `label = value; label = value;` with labels of a set and free values, or `none`.

    Values end at the first `;`, hold no `=`, and are at least one character and at most
    `MAX_VALUE_TOKENS` tokens long; a list has at most `MAX_SLOTS` slots, so that every answer ends.

    Raises:
        UserError: If the tokenizer joins `=` or `;` with what follows, so that no label stands on
            pieces of its own.
    """

    start = SlotState("first", ROOT, 0)

    def __init__(self, labels: Sequence[str], processor: Processor) -> None:
        none = processor.encode_target("none")
        self.end = none[-1]
        spelt = {label: self._spell(label, processor) for label in labels}
        self.tries = {
            "first": LabelTrie(
                {label: head for label, (head, _) in spelt.items()} | {"none;": none}
            ),
            "next": LabelTrie(
                {label: tail for label, (_, tail) in spelt.items()} | {"end;": [self.end]}
            ),
        }
        self.kinds = _value_kinds(processor.tokenizer, exclude={self.end})
        self.before_value = self._ids("inner", "closing", "space")
        self.after_space = self._ids("inner", "closing")
        self.in_value = self._ids("inner", "closing", "space", "bare_closing")
        self.after_longest = self._ids("bare_closing")

    def _ids(self, *kinds: str) -> Tensor:
        return torch.tensor(
            [token for token, kind in self.kinds.items() if kind in kinds], dtype=torch.long
        )

    @staticmethod
    def _spell(label: str, processor: Processor) -> tuple[list[int], list[int]]:
        """Pieces of `label =`, opening a list and following a slot."""
        head = processor.encode_target(f"{label} =")[:-1]
        slot, both = (
            processor.encode_target(f"{label} = a;")[:-1],
            processor.encode_target(f"{label} = a; {label} =")[:-1],
        )
        if slot[: len(head)] != head or both[: len(slot)] != slot:
            raise UserError(
                f"the tokenizer has no pieces of its own for the slot '{label}': it joins '=' or"
                " ';' with what follows; answer this task with choice_mode='free'"
            )
        return head, both[len(slot) :]

    def allowed(self, state: SlotState) -> Tensor:
        part, node, num_slots = state
        if part == "next" and node == ROOT and num_slots >= MAX_SLOTS:
            return torch.tensor([self.end])
        if part in self.tries:
            return self.tries[part].allowed(node)
        if part == "value":
            return self.in_value if node < MAX_VALUE_TOKENS else self.after_longest
        return self.after_space if node else self.before_value

    def advance(self, state: SlotState, token: int) -> SlotState | None:
        part, node, num_slots = state
        if part in self.tries:
            return self._advance_label(state, token)
        kind = self.kinds.get(token)
        if kind == "inner":
            return SlotState("value", node + 1, num_slots) if node < MAX_VALUE_TOKENS else None
        if kind == "space":
            return SlotState(part, node + 1, num_slots) if (part == "value" or node == 0) else None
        if kind == "closing" or (kind == "bare_closing" and part == "value"):
            return SlotState("next", ROOT, num_slots + 1)
        return None

    def _advance_label(self, state: SlotState, token: int) -> SlotState | None:
        trie = self.tries[state.part]
        if token == self.end or state.num_slots < MAX_SLOTS:
            node = trie.advance(state.node, token)
            if node is not None:
                label_ends = node in trie.leaves and token != self.end
                return (
                    SlotState("blank", 0, state.num_slots)
                    if label_ends
                    else state._replace(node=node)
                )
        return None


class TokenAutomaton(Protocol):
    """What may come next (`allowed`), given what came (`start`, `advance`); nothing may where an
    answer is whole.
    """

    @property
    def start(self) -> Any: ...

    def allowed(self, state: Any) -> Tensor: ...

    def advance(self, state: Any, token: int) -> Any: ...


def _value_kinds(tokenizer: Any, exclude: set[int]) -> dict[int, str]:
    """The part that each token can play in a slot's value; those that can play none
    are left out.
    """
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder) | exclude
    kinds = {}
    for token in range(len(tokenizer)):
        kind = (
            None
            if token in special
            else _value_kind(_surface(tokenizer.convert_ids_to_tokens(token)))
        )
        if kind:
            kinds[token] = kind
    if "bare_closing" not in kinds.values():
        raise UserError(
            "the tokenizer cannot write ';', which ends a slot; answer this task with"
            " choice_mode='free'"
        )
    return kinds


def _surface(piece: str) -> str:
    """What a piece of a Metaspace, byte-level or byte-fallback vocabulary writes, as far as spaces,
    `=` and `;` go.
    """
    byte = re.fullmatch(r"<0x([0-9A-Fa-f]{2})>", piece)
    return chr(int(byte[1], 16)) if byte else re.sub("[▁ĠĊĉ]", " ", piece)


def _value_kind(text: str) -> str | None:
    """What a piece is in a value: letters, white space, letters that end in `;`, `;` alone; None if
    it breaks it.
    """
    if not text or "=" in text or ";" in text[:-1]:
        return None
    if text.endswith(";"):
        return "closing" if text[:-1].strip() else "bare_closing"
    return "inner" if text.strip() else "space"
