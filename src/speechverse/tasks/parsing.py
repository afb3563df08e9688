"""From the text of an answer to a prediction; what cannot be read is `UNPARSED`, never guessed.

Parsing is apart from scoring, so that a fault of form shows as `unparsed_rate` instead of hiding in
a score.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from speechverse.errors import TaskError
from speechverse.metrics.types import UNPARSED, Unparsed
from speechverse.tasks.labels import label_key

Prediction = str | tuple[Any, ...] | dict[str, Any] | Unparsed
"""A text or label, keywords, (name, value) slots, {task: prediction} of a joint answer, or
`UNPARSED`.
"""

Parser = Callable[[str, Sequence[str] | None], Prediction]
"""(answer text, the names allowed or None if open) to a prediction."""

NOTHING = "none"
"""What a list-like answer says when the list is empty."""

_BULLET = re.compile(r"\s*(?:[-*•]|[0-9]+[.)])\s+")
"""What stands before each line of a list."""

_EDGES = " \t\r\n\"'`.,:;!?*()[]“”‘’"


def parse_text(text: str, choices: Sequence[str] | None = None) -> Prediction:
    """Free text, its white space collapsed."""
    return " ".join(text.split())


def parse_label(
    text: str,
    choices: Sequence[str] | None = None,
    synonyms: Mapping[str, Sequence[str]] | None = None,
) -> Prediction:
    """One label: case, spaces, underscores and punctuation do not matter; with choices, nothing
    else is read.

    Args:
        synonyms: Label to other words for it.
    """
    if choices is None:
        return " ".join(text.lower().strip(_EDGES).split()) or UNPARSED
    names = {label_key(name): name for name in choices}
    meanings = {
        label_key(word): label_key(name)
        for name, words in (synonyms or {}).items()
        for word in words
    }
    # A corpus may itself name its labels by a synonym; a choice's own name goes before what it is a
    # synonym of.
    shared = Counter(meanings.get(key, key) for key in names)  # what two choices mean tells neither
    alone = {
        meaning: name
        for key, name in names.items()
        if shared[meaning := meanings.get(key, key)] == 1
    }
    by_meaning = alone | names
    key = label_key(text)
    return names.get(key) or by_meaning.get(meanings.get(key, key)) or UNPARSED


def label_parser(synonyms: Mapping[str, Sequence[str]]) -> Parser:
    """`parse_label` that also reads these other words for labels."""
    return partial(parse_label, synonyms=synonyms)


def parse_keywords(text: str, choices: Sequence[str] | None = None) -> Prediction:
    """Keywords between commas or in lines, each once, lower-case; `none` is the empty list."""
    lines = text.strip().split("\n")
    if len(lines) > 1:  # else "2. Bundesliga" would lose its number
        lines = [_BULLET.sub("", line, count=1) for line in lines]
    pieces = [plain(piece) for line in lines for piece in re.split("[,;]", line)]
    keywords = tuple(dict.fromkeys(piece for piece in pieces if piece))
    if keywords == (NOTHING,):
        return ()
    return keywords or UNPARSED


def join_keywords(words: Sequence[str]) -> str:
    """Words as an answer lists them.

    Raises:
        TaskError: If others would be read.
    """
    text = ", ".join(words) or NOTHING
    if parse_keywords(text) != tuple(dict.fromkeys(map(plain, words))):
        raise TaskError(
            f"the list {list(words)} would be read as another: no item is empty, has a comma,"
            f" semicolon or line break, or is the word '{NOTHING}' alone"
        )
    return text


def parse_slots(text: str, choices: Sequence[str] | None = None) -> Prediction:
    """Slots written `name = value; name = value;`, or in lines, in order; `none` is the empty list.

    A piece without a name, a value and an equals sign between them is left out; if no piece has
    them, nothing was read. A name outside the choices is kept: it is a wrong slot, not an
    unreadable answer.
    """
    names = {label_key(name): name for name in choices or ()}
    slots = []
    for piece in re.split("[;\n]", text):
        slot = _BULLET.sub("", piece, count=1)
        name, equals, value = (part.strip() for part in slot.partition("="))
        if equals and label_key(name) and plain(value):
            slots.append((names.get(label_key(name), plain(name)), plain(value)))
    if not slots and label_key(text) == NOTHING:
        return ()
    return tuple(slots) or UNPARSED


def plain(text: str) -> str:
    """Lower-case words between single spaces, without quotes and punctuation around them."""
    return " ".join(text.lower().strip(_EDGES).split())
