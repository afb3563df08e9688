"""Instructions whose answer a program knows from the transcript alone: an answer that cannot be given is None."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_WORD = re.compile(r"[^\W_](?:[\w'’-]*[^\W_])?")
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()
_LONGEST_TO_COUNT = len(_NUMBERS) - 1
_LONGEST_TO_REARRANGE = 8
"""Words of a text that is said twice or backwards: what is longer is hard for people, too."""


def words_of(text: str) -> list[str]:
    """The words of a text as they are written, without the punctuation around them."""
    return _WORD.findall(text)


def _first_word(text: str) -> str:
    return words_of(text)[0]


def _last_word(text: str) -> str:
    return words_of(text)[-1]


def _first_words(text: str) -> str | None:
    words = words_of(text)
    return " ".join(words[:3]) if len(words) > 3 else None


def _num_words(text: str) -> str | None:
    count = len(words_of(text))
    return _NUMBERS[count].capitalize() if count <= _LONGEST_TO_COUNT else None


def _capitals(text: str) -> str:
    return text.upper()


def _lower_case(text: str) -> str:
    return " ".join(words_of(text)).lower()


def _spelled_first(text: str) -> str | None:
    return _spelled(words_of(text)[0])


def _spelled_last(text: str) -> str | None:
    return _spelled(words_of(text)[-1])


def _spelled(word: str) -> str | None:
    return "-".join(word.lower()) if word.isalpha() and len(word) > 1 else None


def _is_question(text: str) -> str:
    return "Question" if text.rstrip("\"'”’ ").endswith("?") else "Statement"


def _longest_word(text: str) -> str | None:
    first, *others = sorted(words_of(text), key=len, reverse=True)
    return first if others and len(others[0]) < len(first) else None


def _shortest_word(text: str) -> str | None:
    first, *others = sorted(words_of(text), key=len)
    return first if others and len(others[0]) > len(first) else None


def _second_word(text: str) -> str:
    return words_of(text)[1]


def _letters_last(text: str) -> str | None:
    word = words_of(text)[-1]
    return _NUMBERS[len(word)].capitalize() if word.isalpha() and len(word) <= _LONGEST_TO_COUNT else None


def _snake_case(text: str) -> str | None:
    words = words_of(text)
    return "_".join(words).lower() if len(words) <= _LONGEST_TO_REARRANGE else None


def _quoted(text: str) -> str | None:
    return None if '"' in text else f'"{text}"'


def _comma_list(text: str) -> str | None:
    words = words_of(text)
    return ", ".join(words).lower() if len(words) <= _LONGEST_TO_REARRANGE else None


def _twice(text: str) -> str | None:
    return f"{text} {text}" if len(words_of(text)) <= _LONGEST_TO_REARRANGE else None


def _backwards(text: str) -> str | None:
    words = words_of(text)
    return " ".join(reversed(words)).lower() if len(words) <= _LONGEST_TO_REARRANGE else None


KNOWN: Mapping[str, Callable[[str], str | None]] = {
    "first_word": _first_word,
    "last_word": _last_word,
    "first_words": _first_words,
    "num_words": _num_words,
    "capitals": _capitals,
    "lower_case": _lower_case,
    "spelled_first": _spelled_first,
    "spelled_last": _spelled_last,
    "is_question": _is_question,
    "longest_word": _longest_word,
    "shortest_word": _shortest_word,
    "second_word": _second_word,
    "letters_last": _letters_last,
    "snake_case": _snake_case,
    "quoted": _quoted,
    "comma_list": _comma_list,
    "twice": _twice,
    "backwards": _backwards,
}
"""Kind of instruction → its answer to a text of two words or more."""
