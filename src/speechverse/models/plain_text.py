"""Text of others as plain text: what a user, a corpus or a recogniser writes never becomes a
control sign of the LLM.

A control sign (`<|im_end|>`, `</s>`, `<pad>`) means something only where the prompt's own template
writes it. So the tokenizer here knows the signs by secret names alone: the template's are renamed,
all other text is spelt in pieces, even where it looks like a sign. Text without signs is cut into
the very pieces that the tokenizer itself would choose.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from speechverse.errors import CheckpointError, UserError

_MARKUP = re.compile(r"\s*(<.+>|\[.+\]|\{.+\}|\|.+\|)\s*", re.DOTALL)
_HALF = re.compile("[\ud800-\udfff]")
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


class PlainText:
    """What a tokenizer makes of text that may hold its control signs.

    Attributes:
        tokenizer: The LLM's.
        signs: Control sign to id: what the tokenizer calls special, and other added tokens that
            look like markup.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.signs = control_signs(tokenizer)
        self._secret = secrets.token_hex(8)
        self._names = {
            sign: self.mark(str(number)) for number, sign in enumerate(sorted(self.signs))
        }
        self._by_name = {name: self.signs[sign] for sign, name in self._names.items()}
        spec = _spec(tokenizer)  # of a large vocabulary it takes a second
        self._unknown = unknown_ids(tokenizer, spec)
        self._backend = None if spec is None else _rename(tokenizer, spec, self._names)
        self._hidden = set(tokenizer.all_special_ids) | {
            token for token, added in tokenizer.added_tokens_decoder.items() if added.special
        }
        self._hidden -= {
            token for token in self._hidden if _BYTE.fullmatch(_piece(tokenizer, token))
        }

    def mark(self, name: str) -> str:
        """A string that nobody else can write, to stand for something in a template."""
        return f"<|{self._secret}{name}|>"

    def template(self, text: str) -> str:
        """A template's own text for `ids`: the control signs in it stay control signs."""
        if not self._names:
            return text
        longest_first = sorted(self._names, key=len, reverse=True)
        return re.sub(
            "|".join(map(re.escape, longest_first)), lambda found: self._names[found[0]], text
        )

    def ids(self, text: str) -> list[int]:
        """Ids of a text without the tokenizer's own beginning and end; no control sign but those of
        `template`.

        Raises:
            UserError: If the text holds half a character (a lone surrogate), which no tokenizer
                takes.
        """
        if not text:
            return []
        if half := _HALF.search(text):  # no more of it is quoted: a template's names are secret
            raise UserError(
                f"the text holds half a character ({half[0]!r}, a lone surrogate): write it in"
                " UTF-8"
            )
        if self._backend is not None:
            return self._backend.encode(text, add_special_tokens=False).ids
        # without a backend whose signs were renamed, those of `template` are cut out here
        parts = re.split(f"({re.escape('<|' + self._secret)}[0-9]+[|]>)", text)
        return [token for part in parts if part for token in self._part(part)]

    def _part(self, part: str) -> list[int]:
        """Of a tokenizer written in Python, which cuts at control signs before all else and can be
        told not to.
        """
        if part in self._by_name:
            return [self._by_name[part]]
        ids = self.tokenizer(part, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        if taken := set(ids) & (set(self.signs.values()) - self._unknown):
            sign = next(sign for sign, token in self.signs.items() if token in taken)
            raise CheckpointError(
                f"this LLM's tokenizer ({type(self.tokenizer).__name__}) cannot read '{sign}' in a"
                " text as plain text; take it out of the text, or use the LLM's fast tokenizer"
            )
        return ids

    def unspelt(self, text: str) -> str:
        """What of a text the tokenizer has no pieces for: the characters, each once; empty if it
        can spell all.
        """
        if not self._unknown or self._unknown.isdisjoint(self.ids(text)):
            return ""
        alone = [
            sign for sign in dict.fromkeys(text) if not self._unknown.isdisjoint(self.ids(sign))
        ]
        return "".join(alone) or text

    def decode(self, rows: Tensor | Sequence[Sequence[int]]) -> list[str]:
        """Text of ids, one row after the other, without the special ones."""
        rows = rows.tolist() if isinstance(rows, Tensor) else rows
        kept = [[token for token in row if token not in self._hidden] for row in rows]
        return [
            self.tokenizer.decode(row, clean_up_tokenization_spaces=False) if row else ""
            for row in kept
        ]


def control_signs(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Control sign to id; added words, white space and single characters, of which text is made
    too, are none.
    """
    named = set(tokenizer.all_special_tokens)
    added = {
        token.content: (number, token.special)
        for number, token in tokenizer.added_tokens_decoder.items()
    }
    found = {
        sign: number
        for sign, (number, special) in added.items()
        if special or sign in named or _MARKUP.fullmatch(sign)
    }
    found |= {sign: int(tokenizer.convert_tokens_to_ids(sign)) for sign in named - added.keys()}
    return {
        sign: number
        for sign, number in found.items()
        if len(sign.strip()) > 1 and not _BYTE.fullmatch(sign)
    }


def _spec(tokenizer: Any) -> dict[str, Any] | None:
    """What a fast tokenizer is made of; None of one written in Python."""
    return (
        json.loads(tokenizer.backend_tokenizer.to_str())
        if hasattr(tokenizer, "backend_tokenizer")
        else None
    )


def _rename(tokenizer: Any, spec: dict[str, Any], names: Mapping[str, str]) -> Tokenizer:
    """The tokenizer with its control signs under other names, in what it was given (added) and what
    it learned.
    """
    spec["post_processor"] = spec["truncation"] = spec["padding"] = None
    # A byte that text falls back on is a piece, whoever wrote it down as an added token.
    spec["added_tokens"] = [
        token for token in spec["added_tokens"] if not _BYTE.fullmatch(token["content"])
    ]
    for token in spec["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    _rename_pieces(spec["model"], names)
    renamed = Tokenizer.from_str(json.dumps(spec))
    for sign, name in names.items():
        if renamed.token_to_id(name) != tokenizer.convert_tokens_to_ids(sign):
            raise CheckpointError(
                f"the LLM's tokenizer gives its control sign '{sign}' no fixed id; it is not whole"
            )
    return renamed


def _rename_pieces(model: dict[str, Any], names: Mapping[str, str]) -> None:
    """In a tokenizer's own pieces, or a Unigram or WordLevel model would still find a sign in a
    text.
    """
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        model["vocab"] = {names.get(piece, piece): number for piece, number in vocabulary.items()}
    else:
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in vocabulary]
    if model.get("unk_token") in names:
        model["unk_token"] = names[model["unk_token"]]
    if "merges" in model:
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
        model["merges"] = [
            pair for pair in pairs if names.keys().isdisjoint([*pair, "".join(pair)])
        ]


def unknown_ids(tokenizer: Any, spec: Mapping[str, Any] | None = None) -> set[int]:
    """The ids that stand for what cannot be spelt: what the model behind the tokenizer gives,
    whatever is named so.
    """
    spec = spec or _spec(tokenizer)
    if spec is None:
        return {tokenizer.unk_token_id} - {None}
    model = spec["model"]
    unknown = model.get("unk_token")
    return {
        model.get("unk_id"),
        None if unknown is None else tokenizer.convert_tokens_to_ids(unknown),
    } - {None}


def _piece(tokenizer: PreTrainedTokenizerBase, token: int) -> str:
    return str(tokenizer.convert_ids_to_tokens(token))
