"""Words that may be heard, given with an instruction: for names that would be misspelt (the paper's
table 6).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from speechverse.errors import UserError
from speechverse.stop_words import STOP_WORDS

MAX_RIGHT = 3
MAX_WRONG = 5
WRONG_ALONE = 0.25
"""Share of the draws in which nothing that is hinted at is said, so that hints are not copied
blindly.
"""

_WORD = re.compile(r"[^\W\d_][\w'-]{3,}")


def with_hints(instruction: str, hints: Sequence[str]) -> str:
    """An instruction with its hints, as a model is taught to read them; an empty one stays so.

    Raises:
        UserError: If a hint is empty, they are one text instead of a list, or something is no text.
    """
    if not isinstance(instruction, str):
        raise UserError(
            f"an instruction is a {type(instruction).__name__}; give text, or a list of texts"
        )
    if isinstance(hints, str):
        raise UserError(f"hints are {hints!r}; give a list of words, such as ['Synthroid', 'York']")
    if other := [hint for hint in hints if not isinstance(hint, str)]:
        raise UserError(f"a hint is {other[0]!r}; give words or names that may be heard")
    told = [hint.strip() for hint in hints]
    if not all(told):
        raise UserError("a hint is empty; give words or names that may be heard")
    if not (told and instruction.strip()):
        return instruction
    return f"{instruction}\nHints: {', '.join(told)}"


def draw_hints(rng: random.Random, text: str, texts: Sequence[str]) -> list[str]:
    """Hints for one clip: longer words of what is said, as they are written, among words of other
    texts.

    Args:
        text: What is said.
        texts: What is said in the whole corpus.
    """
    said = telling_words(text)
    right = (
        []
        if rng.random() < WRONG_ALONE
        else rng.sample(said, min(len(said), rng.randint(1, MAX_RIGHT)))
    )
    wrong = []
    for other in rng.choices(texts, k=rng.randint(1, MAX_WRONG)):
        words = [word for word in telling_words(other) if word.lower() not in text.lower()]
        wrong += rng.sample(words, min(1, len(words)))
    hints = list(dict.fromkeys(right + wrong))
    rng.shuffle(hints)
    return hints


def telling_words(text: str) -> list[str]:
    """Words worth a hint, as they are written, each once: longer ones that are no stop words."""
    return [word for word in dict.fromkeys(_WORD.findall(text)) if word.lower() not in STOP_WORDS]
