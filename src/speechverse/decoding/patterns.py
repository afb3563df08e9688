"""Regular expressions as automata over a tokenizer's pieces, by `outlines_core`'s index.

The index is made once for a pattern and a tokenizer: at each of its states it knows every token
that may come next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import torch
from torch import Tensor
from transformers.convert_slow_tokenizer import bytes_to_unicode

from speechverse.errors import UserError
from speechverse.json_schema import has_anchor, is_balanced, without_anchors
from speechverse.protocols import Processor
from speechverse.tasks.parsing import NOTHING
from speechverse.tasks.spoken import written_words

MAX_PATTERN = 20_000
"""Characters of a pattern; a schema's is written out, so it is longer than the schema."""
MAX_INDEX = 200_000_000
"""Bytes of an index, and of all that are kept."""

_ENDED = -1
"""The state of a whole answer; below it are those of an answer that lacks its first special tokens,
by how many.
"""
_END = "\0"
"""Stands before and behind a text, as the end token's. Without it behind, `outlines_core` would
lose texts: where one may end, it lets none go on with a token of a single byte. Without it before,
its automaton, which looks for a text at every place of another, has a state for each set of places
where one may have begun: `[a-z][a-z ]{1,40}` takes minutes instead of half a second.
"""
_SIGN = re.compile(r"\\(?:x\{?|u\{?|U)([0-9a-fA-F]+)\}?|\\.|\0", re.DOTALL)
"""A sign that is escaped, or the character NUL."""
_BYTE = re.compile("<0x([0-9A-Fa-f]{2})>")


class PatternAutomaton:
    """Admits the texts that match a regular expression from beginning to end, in any of the
    tokenizer's pieces.

    Raises:
        UserError: If it is no regular expression, is too large, or no text that matches it can be
            spelt.
    """

    def __init__(self, pattern: str, processor: Processor) -> None:
        if len(pattern) > MAX_PATTERN:
            raise UserError(
                f"the pattern has {len(pattern):,} characters; at most {MAX_PATTERN:,} can be"
                " followed"
            )
        if _wants_nul(pattern):  # which closes a text here
            raise UserError("the pattern has the character NUL: no answer holds it, leave it out")
        self.index = INDICES.find(pattern, processor.tokenizer, processor.end_token_id)
        self.end = processor.end_token_id
        empty = processor.encode_target("")
        self._prefix = empty[: empty.index(self.end)]  # BART's targets begin with "<s>"
        self.start = self._behind(len(self._prefix))
        self._allowed: dict[int, Tensor] = {}

    def allowed(self, state: int) -> Tensor:
        if state == _ENDED:
            return torch.empty(0, dtype=torch.long)
        if state < _ENDED:
            return torch.tensor([self._prefix[state - _ENDED]])
        if state not in self._allowed:
            tokens = set(self.index.get_allowed_tokens(state))
            if not self._may_end(state):  # "." takes the end's sign for any other
                tokens.discard(self.end)
            self._allowed[state] = torch.tensor(sorted(tokens), dtype=torch.long)
        return self._allowed[state]

    def advance(self, state: int, token: int) -> int | None:
        if state < _ENDED:
            left = _ENDED - state
            return self._behind(left - 1) if token == self._prefix[-left] else None
        if token == self.end:
            return _ENDED if self._may_end(state) else None
        return self.index.get_next_state(state, token)

    def _behind(self, left: int) -> int:
        """The state with so many tokens of the prefix still to come."""
        if left:
            return _ENDED - left
        begun = self.index.get_next_state(self.index.get_initial_state(), self.end)
        assert begun is not None  # every pattern begins with the end token's sign
        return begun

    def _may_end(self, state: int) -> bool:
        behind = self.index.get_next_state(state, self.end)
        return behind is not None and self.index.is_final_state(behind)


def _wants_nul(pattern: str) -> bool:
    """Whether NUL stands in it, but where a range begins with it or a class leaves it out."""
    for sign in _SIGN.finditer(pattern):
        is_nul = sign[0] in ("\0", r"\0") or (sign[1] and not sign[1].strip("0"))
        begin, end = sign.span()
        excluded = pattern.endswith("[^", 0, begin) or pattern.startswith("-", end)
        if is_nul and not excluded:
            return True
    return False


def pattern_of_slots(names: Sequence[str], transcript: str) -> str:
    """The regular expression of slot lists (`room = kitchen; device = lamp;`, or `none`) whose
    values are words of a transcript alone.

    Args:
        names: What a slot may be called.
        transcript: What was said: the model's own answer, or a corrected one.

    Raises:
        UserError: If there are no names.
    """
    if not names:
        raise UserError("slots need names: give at least one")
    words = dict.fromkeys(written_words(transcript))
    if not words:
        return NOTHING
    name, word = ("|".join(map(re.escape, some)) for some in (names, words))
    slot = f"(?:{name}) = (?:{word})(?: (?:{word}))*;"
    return f"{NOTHING}|{slot}(?: {slot})*"


def compiled_from(pattern: str, tokenizer: Any, end: int) -> tuple[str, bytes]:
    """What `outlines_core` makes an index from: a regular expression, and a vocabulary in its own
    binary form, for whoever would first try that elsewhere.
    """
    vocabulary, begins_with_space = _vocabulary(tokenizer, end)
    return _whole(pattern, begins_with_space), vocabulary.__reduce__()[1][0]


def _whole(pattern: str, begins_with_space: bool) -> str:
    if not is_balanced(pattern):
        raise UserError(
            f"{pattern!r} cannot be followed as a regular expression: its parentheses do not match"
        )
    if has_anchor(text := without_anchors(pattern)):
        raise UserError(
            f"{pattern!r} asks within where the answer begins or ends: the whole answer is matched"
            " anyway, so leave ^, $, \\A and \\z out"
        )
    space = " " if begins_with_space else ""
    return f"\\x00{space}({text})\\x00"


class _Indices:
    """The indices used last, of so many bytes together: a server makes those of any request."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._kept: dict[tuple[str, Any, int], tuple[Any, int]] = {}

    def find(self, pattern: str, tokenizer: Any, end: int) -> Any:
        """The index of a pattern, kept or made now."""
        key = (pattern, tokenizer, end)
        with self._lock:
            found = self._kept.pop(key, None)
        index, size = found or _make_index(pattern, tokenizer, end)
        with self._lock:
            self._kept[key] = (index, size)  # last, as it was used last
            while sum(size for _, size in self._kept.values()) > self._most:
                del self._kept[next(iter(self._kept))]
        return index

    def clear(self) -> None:
        self._kept.clear()


INDICES = _Indices(MAX_INDEX)


def _make_index(pattern: str, tokenizer: Any, end: int) -> tuple[Any, int]:
    """An index, and its size in bytes."""
    from outlines_core import Index

    vocabulary, begins_with_space = _vocabulary(tokenizer, end)
    whole = _whole(pattern, begins_with_space)
    try:
        index = Index(whole, vocabulary)
    except Exception as error:  # whatever Rust says: a bad pattern is the user's
        raise UserError(
            f"{pattern!r} cannot be followed as a regular expression: {error}"
        ) from error
    size = len(index.__reduce__()[1][0])
    if size > MAX_INDEX:
        raise UserError(
            f"what may follow what under {pattern!r} takes {size / 1e6:,.0f} MB; at most"
            f" {MAX_INDEX / 1e6:,.0f} MB are kept: give a pattern with fewer repetitions"
        )
    return index, size


@lru_cache(maxsize=4)
def _vocabulary(tokenizer: Any, end: int) -> tuple[Any, bool]:
    """The index's vocabulary, and whether texts begin with a piece that has a space."""
    from outlines_core import Vocabulary

    hidden = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder) | {end}
    written_by = _writer(tokenizer)
    pieces: dict[bytes, list[int]] = {}
    fallback: dict[bytes, list[int]] = {}  # bytes by their number: only of what no piece writes
    for piece, token in tokenizer.get_vocab().items():
        if _BYTE.fullmatch(piece):
            fallback[written_by(piece)] = [token]
        elif token not in hidden and (written := written_by(piece)):
            pieces.setdefault(written, []).append(token)
    first = tokenizer.convert_ids_to_tokens(tokenizer("a", add_special_tokens=False)["input_ids"])[
        0
    ]
    closed = fallback | pieces | {_END.encode(): [end]}
    return Vocabulary(len(tokenizer) + 1, closed), written_by(first).startswith(b" ")


def _writer(tokenizer: Any) -> Callable[[str], bytes]:
    """What a piece writes: of byte-level vocabularies a byte each sign, of others its text, with
    `▁` for a space.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    decoder = json.loads(backend.to_str())["decoder"] if backend is not None else None
    if "ByteLevel" in json.dumps(decoder) or hasattr(tokenizer, "byte_decoder"):
        byte_of = {sign: byte for byte, sign in bytes_to_unicode().items()}
        return lambda piece: (
            bytes(byte_of[sign] for sign in piece) if byte_of.keys() >= set(piece) else b""
        )

    def spell(piece: str) -> bytes:
        byte = _BYTE.fullmatch(piece)
        return bytes([int(byte[1], 16)]) if byte else piece.replace("▁", " ").encode()

    return spell
