"""The text of an answer's tokens: up to its stop strings, whole or piece by piece as they come."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria
from transformers.generation.streamers import BaseStreamer

from speechverse.protocols import Processor

_BYTE = re.compile("<0x[0-9A-Fa-f]{2}>")
_HALF = "\ufffd"
"""What a decoder writes for bytes that are no whole character yet."""
_TOKENS_BESIDE = 8
"""Tokens looked at beside those of a stop string: the first of a cut-off row may be half a sign."""


class Wording:
    """What tokens say.

    Args:
        processor: Whose tokens they are.
        stop: Texts that an answer ends before.
    """

    def __init__(self, processor: Processor, stop: Sequence[str] = ()) -> None:
        self.processor, self.stop = processor, tuple(stop)

    def __call__(self, tokens: Sequence[int]) -> tuple[str, bool]:
        """The text of an answer, and whether a stop string ended it."""
        return self._before_stop(self.raw(tokens))

    def _before_stop(self, text: str) -> tuple[str, bool]:
        places = [place for stop in self.stop if (place := text.find(stop)) >= 0]
        return text[: min(places, default=None)].strip(), bool(places)

    def raw(self, tokens: Sequence[int]) -> str:
        """All that the tokens say up to the end token, white space around it and stop strings
        too.
        """
        end, row = self.processor.end_token_id, list(tokens)
        return self.processor.text.decode([row[: row.index(end)] if end in row else row])[0]

    def certain(self, tokens: Sequence[int]) -> str:
        """The beginning of the text that no token to come can change or take away."""
        whole = self.raw(self._without_last_bytes(tokens))
        text, stopped = self._before_stop(whole)
        if stopped:
            return text
        text = whole.rstrip(_HALF)
        held = max((_overlap(text, stop) for stop in self.stop), default=0)
        return text[: len(text) - held].strip()

    def _without_last_bytes(self, tokens: Sequence[int]) -> Sequence[int]:
        """Pieces that write one byte are read together: one that is wrong spoils those before."""
        size, convert = len(tokens), self.processor.tokenizer.convert_ids_to_tokens
        while size and _BYTE.fullmatch(str(convert(tokens[size - 1]))):
            size -= 1
        return tokens[:size]

    def split(self, tokens: Sequence[int], text: str) -> list[str]:
        """What each token adds to the text of an answer; joined it is the text."""
        pieces, begun = [], Pieces(self)
        for token in tokens:
            pieces.append(begun.add(token))
        rest = begun.rest(text)
        if pieces and text != "".join(pieces) + rest:  # a choice that its tokens spell otherwise
            pieces, rest = [""] * len(pieces), text
        return [*pieces[:-1], pieces[-1] + rest] if pieces else []


def _overlap(text: str, stop: str) -> int:
    """Length of the longest beginning of `stop` that the text ends with."""
    sizes = range(min(len(text), len(stop) - 1), 0, -1)
    return next((size for size in sizes if text.endswith(stop[:size])), 0)


class Pieces:
    """An answer's text as its tokens come, in whole characters."""

    def __init__(self, wording: Wording) -> None:
        self.wording = wording
        self.tokens: list[int] = []
        self.streamed = ""

    def add(self, token: int) -> str:
        """What is certain of the text with one more token and was not before."""
        self.tokens.append(token)
        text = self.wording.certain(self.tokens)
        if not text.startswith(self.streamed):
            return ""
        new, self.streamed = text[len(self.streamed) :], text
        return new

    def rest(self, text: str) -> str:
        """What is still to be told of the whole answer."""
        return text[len(self.streamed) :] if text.startswith(self.streamed) else ""


class Told(Pieces):
    """The same, told to somebody.

    Args:
        on_piece: Is told them.
        most: Tokens that the answer may have; padding follows.
    """

    def __init__(self, wording: Wording, on_piece: Callable[[str], None], most: int) -> None:
        super().__init__(wording)
        self._on_piece, self._most = on_piece, most

    def take(self, token: int) -> None:
        if len(self.tokens) < self._most and (piece := self.add(token)):
            self._on_piece(piece)

    def end(self, text: str) -> None:
        """Tells what was held back until the answer was whole."""
        if rest := self.rest(text):
            self._on_piece(rest)


class PieceStreamer(BaseStreamer):
    """Hands on what transformers generates, token by token, to those rows that are told."""

    def __init__(self, rows: Mapping[int, Told]) -> None:
        self._rows = rows
        self._begun = False

    def put(self, value: Tensor) -> None:
        if self._begun:
            tokens = value.flatten().tolist()
            for row, told in self._rows.items():
                told.take(tokens[row])
        self._begun = True  # first comes what stands before the answers

    def end(self) -> None:
        """What was held back comes with the whole answer."""


class StopStrings(StoppingCriteria):
    """Ends each row whose text holds a stop string, greedy or with beams.

    transformers' own compares pieces of the vocabulary, and so finds no sign that several pieces
    write together.
    """

    def __init__(self, wording: Wording, num_start_tokens: int) -> None:
        self.wording = wording
        self.num_start_tokens = num_start_tokens
        self.window = max(len(stop.encode()) for stop in wording.stop) + _TOKENS_BESIDE

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """Which rows of `input_ids` (B times beams, T) hold one, shape (B times beams,)."""
        new = input_ids[:, self.num_start_tokens :][:, -self.window :].tolist()
        ended = [self.wording(row)[1] for row in new]
        return torch.tensor(ended, device=input_ids.device)
