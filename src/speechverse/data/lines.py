"""JSON lines: one object a line, read strictly; every wrong line is found, not only the first."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechverse.errors import CorpusError, UserError
from speechverse.files import read_text, write_text

_SHOWN = 5
"""Wrong lines that an error tells of."""
_LARGEST = 2**64

Fault = tuple[int, str]
"""A line's number, from 1, and what is wrong with it."""


@dataclass
class Lines:
    """A file's lines that are objects, by number, and what is wrong with the others.

    Attributes:
        faults: Of lines that are no object, and of those that `each` found wrong.
        total: How many lines are not empty.
    """

    path: Path
    objects: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    total: int = 0

    @classmethod
    def read(cls, path: Path) -> Lines:
        """Reads a file; empty lines are passed over.

        Raises:
            CorpusError: If the file is missing, or as a whole something else than JSON lines.
        """
        numbered = [
            (number, line)
            for number, line in enumerate(_text(path).split("\n"), start=1)
            if line.strip()
        ]
        lines = cls(path, total=len(numbered))
        for number, line in numbered:
            try:
                lines.objects.append((number, parse_object(line)))
            except ValueError as error:
                lines.faults.append((number, str(error)))
        if (
            lines.faults
            and lines.faults[0][0] == numbered[0][0]
            and (shape := _shape([line for _, line in numbered]))
        ):
            raise CorpusError(f"the JSONL file {path} {shape}")
        return lines

    def each(self, use: Callable[[int, dict[str, Any]], None]) -> None:
        """Hands each line to `use`, which raises ValueError or UserError if it is wrong."""
        for number, entry in self.objects:
            try:
                use(number, entry)
            except (ValueError, UserError) as error:
                self.faults.append((number, str(error)))

    def refusal(self, what: str) -> CorpusError:
        """Tells of the wrong lines, and what they cannot be or do, such as "cannot be spoken"."""
        faults = sorted(self.faults)
        more = f"\n  and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        listed = "\n  ".join(f"line {number}: {reason}" for number, reason in faults[:_SHOWN])
        return CorpusError(
            f"{self.path}: {len(faults)} of {self.total} lines {what}. Mend them or take them"
            f" out:\n  {listed}{more}"
        )


def write_lines(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Writes objects as JSON lines, whole or not at all."""
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def parse_object(line: str | bytes) -> dict[str, Any]:
    """The JSON object in a line.

    Raises:
        ValueError: If it is none, names a key twice, or holds NaN, half a character or a number
            that is too large.
    """
    try:
        entry = json.loads(
            line,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
            object_pairs_hook=_each_once,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: it is nested too deeply") from None
    if not isinstance(entry, dict):
        raise ValueError(f"should be one JSON object, not {line[:40]!r}")
    _refuse_half_characters(entry)
    return entry


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number: leave the key out where nothing is known")


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large a number")
    return number


def _int(digits: str) -> int:
    if len(digits) > 21 or abs(number := int(digits)) > _LARGEST:
        raise ValueError(f"{digits[:24]}{'...' if len(digits) > 24 else ''} is too large a number")
    return number


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        twice = next(key for place, (key, _) in enumerate(pairs) if key in dict(pairs[:place]))
        raise ValueError(
            f"has the key '{twice}' twice, of which JSON keeps one; give each key once"
        )
    return entry


def _refuse_half_characters(entry: dict[str, Any]) -> None:
    """Escapes of one half of a surrogate pair: no text file and no tokenizer takes them."""
    try:
        json.dumps(entry, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise ValueError(f"holds half a character ({ascii(half)}): write it whole") from None


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except FileNotFoundError:
        raise CorpusError(f"the JSONL file {path} is missing") from None
    except OSError as error:
        raise CorpusError(f"the JSONL file {path} cannot be read: {error}") from error
    except ValueError as cause:
        raise CorpusError(f"the JSONL file {path} {cause}") from None


def _shape(lines: Sequence[str]) -> str | None:
    """What kind of file this is instead; None where it may be a slip in the first line."""
    first = lines[0].strip()
    if first.startswith("["):
        return "is a JSON array, not lines: write one object a line (jq -c '.[]' THIS)"
    if first.startswith("{"):
        if len(lines) > 1 and _is_json("\n".join(lines)):
            return "is one JSON object over many lines: write one object a line (jq -c)"
    elif any(sign in first for sign in ",;\t") and len(lines) > 1:
        return (
            f"looks like a CSV table (it begins '{first[:40]}'): write its rows as one JSON object"
            " a line"
        )
    return None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
