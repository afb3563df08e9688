"""What of an LLM's answers can be learnt from: a whole sentence that speaks of the line and of no
more.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping

from speechverse.instructions.assignment import Asked
from speechverse.stop_words import STOP_WORDS
from speechverse.tasks.spoken import written_words
from speechverse.types import Answer

_SENTENCE = re.compile(r".*?[.!?][\"'”’)]*(?=\s|$)")
_ABOUT_THE_TASK = re.compile(
    r"\b(as an ai|language model|chatbot|i'?m sorry|i can('|no)t (assist|help|provide)|please"
    r" provide|not sure what|"
    r"(provided|given|original|reworded|revised|rewritten|this|the)"
    r" (text|sentence|statement|phrase|topic|transcript|"
    r"audio|version|meaning)|classic example|metaphor\w*|grammatical|idiomatic|rhetorical|letter"
    r" here)\b"
    r"|^(sure|certainly|here('s| is| are)|what a (great|delightful|wonderful|fantastic)"
    r" (question|response))\b"
    r"|[*#\[\]{}<>|]",
    re.IGNORECASE,
)
_MAY_SAY_IT_AGAIN = frozenset({"summary"})
_MOST_REPEATS = 2
"""Times that three words in a row may stand in an answer."""
_STEM = 4
"""Letters that two words of one stem share."""
_KEPT = {"formal": 0.5}
"""Share of the line's content words, by their stems, that an answer must have; of other kinds
`_KEPT_ELSE`.
"""
_KEPT_ELSE = 0.25
_NEW = 0.4
"""Share of its own content words that an answer of a kind in `_KEPT` may have new."""


def usable(asked: Asked, made: Answer) -> tuple[str, str]:
    """The first sentence of an answer, and why it is not to be learnt: one of the two is empty."""
    if made.ended == "loop":
        return "", "turned in circles"
    line, _, rest = made.text.strip().partition("\n")
    whole = _SENTENCE.match(line)
    if whole is None and made.cut and not rest:
        return "", "cut before a sentence was whole"
    text = whole[0].strip() if whole else line.strip()
    reason = next((reason for reason, holds in _FAULTS.items() if holds(asked, text)), "")
    return ("", reason) if reason else (text, "")


def _is_empty(asked: Asked, text: str) -> bool:
    return not written_words(text)


def _repeats_itself(asked: Asked, text: str) -> bool:
    words = _lower(text)
    threes = Counter(zip(words, words[1:], words[2:], strict=False))
    return max(threes.values(), default=0) > _MOST_REPEATS or len(set(words)) < len(words) / 2


def _is_about_the_task(asked: Asked, text: str) -> bool:
    return bool(_ABOUT_THE_TASK.search(text)) or _lower(asked.instruction) == _lower(text)


def _repeats_the_line(asked: Asked, text: str) -> bool:
    return asked.kind not in _MAY_SAY_IT_AGAIN and _lower(text) == _lower(asked.text)


def _speaks_of_something_else(asked: Asked, text: str) -> bool:
    """Whether it shares too few words with the line."""
    said, answered = _stems(asked.text), _stems(text)
    return not said & answered or len(said & answered) < _KEPT.get(asked.kind, _KEPT_ELSE) * len(
        said
    )


def _makes_things_up(asked: Asked, text: str) -> bool:
    """Whether another wording of the line says more than the line."""
    answered = _stems(text)
    return asked.kind in _KEPT and len(answered - _stems(asked.text)) > _NEW * len(answered)


def _stems(text: str) -> set[str]:
    """The content words of a text, as far as words of one stem have them in common."""
    return {word[:_STEM] for word in _lower(text) if word not in STOP_WORDS}


_FAULTS: Mapping[str, Callable[[Asked, str], bool]] = {
    "empty": _is_empty,
    "repeats itself": _repeats_itself,
    "talks about the task": _is_about_the_task,
    "repeats the line": _repeats_the_line,
    "speaks of something else": _speaks_of_something_else,
    "makes things up": _makes_things_up,
}


def _lower(text: str) -> list[str]:
    return [word.lower() for word in written_words(text)]
