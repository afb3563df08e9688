"""Lower-case words as people write them: capitals, and a sign at the end."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_NAMES = frozenset(
    "artist song city person street company book film actor series channel newspaper podcast team"
    " politician feast language spoken_language nation cuisine medicine".split()
)
"""Slots whose values are names."""

_SMALL = frozenset("a an and at for from in of on the to with".split())
_ALWAYS = {
    word.lower(): word
    for word in (
        "I I'm I'll I've I'd Monday Tuesday Wednesday Thursday Friday Saturday Sunday January"
        " February April June July August September October November December English French"
        " German Spanish Italian Christmas"
    ).split()
}
_ASKING = re.compile(
    r"(?:who|whose|what|when|where|why|which|how|is|are|was|were|do|does|did|can|could|will|would"
    r"|shall|should|has|have)"
    r"(?:'s|'re|(?<!do)n't)?(?!\w|')",
    re.IGNORECASE,
)
_NOT_ASKING = re.compile(
    r"(?:have|do|will|should|what a|how \w+ ly)\b (?:a|an|some|not|it|your|no)\b", re.IGNORECASE
)
_OPENERS = re.compile(
    r"^((?:okay|hey|hello|excuse me|oh|listen|well|thanks|hi)(?: assistant)?)\s+", re.IGNORECASE
)
_CLOSERS = re.compile(r"\s+(please|thanks|thank you|if you can)$")
_ORDINARY = frozenset("march may will rose art bill mark jack china turkey jersey".split())


def add_capitals_and_stop(
    text: str, proper: Mapping[str, str], slots: Sequence[tuple[str, str]] = ()
) -> str:
    """A text as people write it, with capitals and a final sign; what has them keeps them.

    `proper` maps lower-case words to how they are always written; the values of some `slots` (name
    and value) of a request are names.
    """
    opened = _OPENERS.match(text)
    asked = text[opened.end() :] if opened else text
    for name, value in slots:
        if name in _NAMES:
            text = re.sub(rf"\b{re.escape(value)}\b", _title(value), text)
    text = " ".join(_set_case(word, proper) for word in text.split(" "))
    if opened:
        text = _OPENERS.sub(r"\1, ", text)
    text = _CLOSERS.sub(r", \1", text)
    text = text[0].upper() + text[1:]
    if text[-1] in ".!?":
        return text
    # "how nice" begins as questions do, and is none.
    is_question = _ASKING.match(asked) and not _NOT_ASKING.match(asked) and len(asked.split()) > 2
    return text + ("?" if is_question else ".")


def _title(value: str) -> str:
    words = value.split(" ")
    return " ".join(w if w in _SMALL and i else w[:1].upper() + w[1:] for i, w in enumerate(words))


def _set_case(word: str, proper: Mapping[str, str]) -> str:
    bare = re.sub(r"'s$|[,.!?]+$", "", word)
    if not bare.islower():
        return word
    known = _ALWAYS.get(bare) or ("" if bare in _ORDINARY else proper.get(bare, ""))
    return known + word[len(bare) :] if known else word
