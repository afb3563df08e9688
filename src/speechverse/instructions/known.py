"""Instructions whose answer a program knows from the transcript alone: an answer that cannot be
given is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from speechverse.tasks.spoken import written_words

_NUMBERS = (
    "Zero One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve Thirteen Fourteen Fifteen"
).split()
_SENTENCES = {"?": "Question", ".": "Statement", "!": "Statement"}
"""By the last sign; a text without punctuation may be either."""
_LONGEST_TO_REARRANGE = 8
"""Words of a text that is said twice or backwards: what is longer is hard for people, too."""


def _number(count: int) -> str | None:
    return _NUMBERS[count] if count < len(_NUMBERS) else None


def _spell(word: str) -> str | None:
    return "-".join(word.lower()) if word.isalpha() and len(word) > 1 else None


def _only(words: Sequence[str], longest: bool) -> str | None:
    """The longest or shortest word, if no other is as long."""
    first, second = sorted(words, key=_letters, reverse=longest)[:2]
    return first if _letters(first) != _letters(second) else None


def _letters(word: str) -> int:
    return sum(map(str.isalpha, word))


def _rearrange(words: Sequence[str], between: str) -> str | None:
    return between.join(words).lower() if len(words) <= _LONGEST_TO_REARRANGE else None


_Known = Callable[[str, list[str]], str | None]

_OF_TEXT_AND_WORDS: Mapping[str, _Known] = {
    "first_word": lambda text, words: words[0],
    "last_word": lambda text, words: words[-1],
    "second_word": lambda text, words: words[1],
    "first_words": lambda text, words: " ".join(words[:3]) if len(words) > 3 else None,
    "num_words": lambda text, words: _number(len(words)),
    "letters_last": lambda text, words: _number(len(words[-1])) if words[-1].isalpha() else None,
    "capitals": lambda text, words: text.upper(),
    "lower_case": lambda text, words: " ".join(words).lower(),
    "spelled_first": lambda text, words: _spell(words[0]),
    "spelled_last": lambda text, words: _spell(words[-1]),
    "is_question": lambda text, words: _SENTENCES.get(text.rstrip("\"'”’ ")[-1:]),
    "longest_word": lambda text, words: _only(words, longest=True),
    "shortest_word": lambda text, words: _only(words, longest=False),
    "snake_case": lambda text, words: _rearrange(words, "_"),
    "quoted": lambda text, words: None if '"' in text else f'"{text}"',
    "comma_list": lambda text, words: _rearrange(words, ", "),
    "twice": lambda text, words: f"{text} {text}" if len(words) <= _LONGEST_TO_REARRANGE else None,
    "backwards": lambda text, words: _rearrange(words[::-1], " "),
}

KNOWN = frozenset(_OF_TEXT_AND_WORDS)
"""Kinds of instruction that a program knows the answer to."""


def known_answer(kind: str, text: str) -> str | None:
    """The answer to a text of two words or more, if it has one."""
    return _OF_TEXT_AND_WORDS[kind](text, written_words(text))
