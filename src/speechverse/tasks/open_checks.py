"""What a program can judge of answers to open requests: their form, and what they hold of what was
said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from speechverse.seeding import rng_for
from speechverse.tasks.hints import telling_words
from speechverse.tasks.spoken import written_words

SHORTEST = 5
"""Words of a clip that is asked."""

LONGEST = 14
"""Words of a clip whose every word is to be written in another form."""

ENOUGH = 0.8
"""How alike the words of answer and clip must be, from 0 to 1: recognition errs, too."""

_STEM = 4
"""Letters that words of one stem share."""

_ITEM = {"bulleted": re.compile(r"\s*[-–*•]\s*"), "numbered": re.compile(r"\s*(\d+)[.):]\s*")}


@dataclass(frozen=True)
class Said:
    """What was said in a clip: the text, and its words as they are written."""

    text: str

    @cached_property
    def words(self) -> list[str]:
        return written_words(self.text)

    @cached_property
    def asked_about(self) -> int | None:
        """The place of a word that is said once and has another behind it, always the same."""
        lower = [word.lower() for word in self.words]
        places = [place for place, word in enumerate(lower[:-1]) if lower.count(word) == 1]
        return rng_for(0, "asked about", self.text).choice(places) if places else None


def has_words(answer: str, words: Sequence[str]) -> bool:
    """Whether an answer has these words, nearly all, and few others; case does not matter."""
    given, wanted = ([w.lower() for w in some] for some in (written_words(answer), words))
    return SequenceMatcher(None, given, wanted, autojunk=False).ratio() >= ENOUGH


def takes_up(answer: str, said: Said) -> bool:
    """Whether an answer has a telling word of the clip, by its stem."""
    return bool(_stems(answer) & _stems(said.text))


def _stems(text: str) -> set[str]:
    return {word.lower()[:_STEM] for word in telling_words(text)}


def _only(answer: str, words: Sequence[str]) -> bool:
    return [word.lower() for word in written_words(answer)] == [word.lower() for word in words]


def _spelled_out(answer: str, letters: str) -> bool:
    given = "".join(filter(str.isalnum, answer.lower()))
    return SequenceMatcher(None, given, letters.lower(), autojunk=False).ratio() >= ENOUGH


def _is_short(answer: str, said: Said, most: int) -> bool:
    """Whether at most so many words are most of them the clip's, and fewer than it has."""
    stems = _stems(answer)
    return len(written_words(answer)) <= min(most, len(said.words) - 1) and 2 * len(
        stems & _stems(said.text)
    ) >= max(len(stems), 1)


def _is_list(kind: str) -> Callable[[str, Said], bool]:
    def check(answer: str, said: Said) -> bool:
        lines = [line for line in answer.splitlines() if line.strip()]
        marks = [_ITEM[kind].match(line) for line in lines]
        numbers = [mark[1] for mark in marks if mark and kind == "numbered"]
        in_order = numbers == [str(place) for place in range(1, len(numbers) + 1)]
        rest = " ".join(line[mark.end() :] for line, mark in zip(lines, marks, strict=True) if mark)
        return all(marks) and in_order and len(lines) > 1 and has_words(rest, said.words)

    return check


def _is_json(answer: str, said: Said) -> bool:
    try:
        found = json.loads(answer)
    except ValueError:
        return False
    return (
        isinstance(found, dict)
        and list(found) == ["text"]
        and isinstance(found["text"], str)
        and has_words(found["text"], said.words)
    )


def _framed(before: str, behind: str = "") -> Callable[[str, Said], bool]:
    """What stands between two texts, which must be there, is what was said."""

    def check(answer: str, said: Said) -> bool:
        text, head, tail = answer.strip(), before.lower(), behind.lower()
        inner = text[len(before) : len(text) - len(behind)]
        is_framed = text.lower().startswith(head) and text.lower().endswith(tail)
        return is_framed and has_words(inner, said.words)

    return check


def _punctuated(answer: str, said: Said) -> bool:
    text = answer.strip()
    return (
        text[:1].isupper()
        and text[-1:] in ".!?"
        and not text.isupper()
        and has_words(text, said.words)
    )


def _title_case(answer: str, said: Said) -> bool:
    words = written_words(answer)
    capital = all(word[0].isupper() or not word[0].isalpha() for word in words)
    return capital and not answer.isupper() and has_words(answer, said.words)


def _continuation(said: Said) -> list[str] | None:
    return said.words[2:4] if len(said.words) > 4 else None


def _next(said: Said) -> str | None:
    return None if said.asked_about is None else said.words[said.asked_about + 1]


def _sentence(said: Said) -> str:
    text = said.text.strip()
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?" else ".")


def _gist(said: Said, most: int) -> str | None:
    words = telling_words(said.text)[:most]
    return " ".join(words) if words and len(said.words) > most + 1 else None


def _short_enough(said: Said, text: str) -> str | None:
    return text if len(said.words) <= LONGEST else None


@dataclass(frozen=True)
class Judged:
    """A request that can be judged.

    Attributes:
        answer: A right answer; None where it cannot be asked of what was said.
        is_right: Whether an answer is right.
        word: What it asks about, where it does.
    """

    answer: Callable[[Said], str | None]
    is_right: Callable[[str, Said], bool]
    word: Callable[[Said], str] = lambda said: ""


JUDGED: Mapping[str, Judged] = {
    "punctuated": Judged(_sentence, _punctuated),
    "bulleted": Judged(
        lambda said: _short_enough(said, "\n".join(f"- {word}" for word in said.words)),
        _is_list("bulleted"),
    ),
    "numbered": Judged(
        lambda said: _short_enough(
            said, "\n".join(f"{place}. {word}" for place, word in enumerate(said.words, start=1))
        ),
        _is_list("numbered"),
    ),
    "title_case": Judged(
        lambda said: " ".join(word[0].upper() + word[1:] for word in said.words), _title_case
    ),
    "shouted": Judged(
        lambda said: " ".join(said.words).upper() + "!",
        lambda answer, said: (
            answer.isupper() and answer.strip().endswith("!") and has_words(answer, said.words)
        ),
    ),
    "hashtag": Judged(
        lambda said: _short_enough(said, "#" + "".join(filter(str.isalnum, said.text))),
        lambda answer, said: (
            answer.strip().startswith("#")
            and len(answer.split()) == 1
            and _spelled_out(answer, "".join(filter(str.isalnum, said.text)))
        ),
    ),
    "json": Judged(lambda said: json.dumps({"text": said.text}, ensure_ascii=False), _is_json),
    "bold": Judged(lambda said: f"<b>{said.text}</b>", _framed("<b>", "</b>")),
    "third_word": Judged(
        lambda said: said.words[2], lambda answer, said: _only(answer, said.words[2:3])
    ),
    "before_last": Judged(
        lambda said: said.words[-2], lambda answer, said: _only(answer, said.words[-2:-1])
    ),
    "next_word": Judged(
        _next,
        lambda answer, said: _only(answer, [_next(said) or ""]),
        word=lambda said: said.words[said.asked_about or 0],
    ),
    "continued": Judged(
        lambda said: " ".join(_continuation(said) or ()) or None,
        lambda answer, said: _only(answer, _continuation(said) or ()),
        word=lambda said: " ".join(said.words[:2]),
    ),
    "last_three": Judged(
        lambda said: " ".join(said.words[-3:]),
        lambda answer, said: _only(answer, said.words[-3:]),
    ),
    "without_first": Judged(
        lambda said: " ".join(said.words[1:]),
        lambda answer, said: (
            not _only(" ".join(written_words(answer)[:1]), said.words[:1])
            and has_words(answer, said.words[1:])
        ),
    ),
    "initials": Judged(
        lambda said: _short_enough(said, "".join(word[0] for word in said.words).upper()),
        lambda answer, said: (
            len(answer.split()) == 1
            and _spelled_out(answer, "".join(word[0] for word in said.words))
        ),
    ),
    "signed_off": Judged(lambda said: f"{said.text} Over and out.", _framed("", "over and out.")),
    "play": Judged(lambda said: f"SPEAKER: {said.text}", _framed("speaker:")),
    "operator": Judged(lambda said: f"Copy that: {said.text}", _framed("copy that:")),
    "five_words": Judged(
        lambda said: _gist(said, 5), lambda answer, said: _is_short(answer, said, 5)
    ),
    "headline": Judged(
        lambda said: _gist(said, 6),
        lambda answer, said: not answer.strip().endswith(".") and _is_short(answer, said, 6),
    ),
}
