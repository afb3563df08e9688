"""The text normalisers that error rates are counted under: one for English, one for every other
language.

Both sides of a comparison go through the same one, chosen by the language of the reference. Its id
(name and version) stands beside every score it touched; any change of behaviour takes a new
version.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from speechverse.metrics.spelling import AmericanSpelling

_ENGLISH = frozenset({"en", "eng", "english"})
_DOTTED_I = frozenset({"tr", "tur", "turkish", "az", "aze", "azerbaijani"})

# What Whisper's rules leave different in writing although it is said alike.
_PLAIN_SIGNS = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "<": " ", ">": " "})
_CLOCK = re.compile(r"(?<![\w.:])(\d{1,2}):([0-5]\d)(?![\w:])")
_PERCENT = re.compile(r"(?<=\d)\s+%")
_LEADING_ZERO = re.compile(r"(?<![\w.,$€£¢])0\d+(?![\w%$€£¢]|[.,]\d)")
_LONE_DIGIT = re.compile(r"(?<![\w.,$€£¢])\d(?![\w%$€£¢]|[.,]\d)")
_LONE_SIGNS = re.compile(r"(?<!\S)[.%$¢€£]+(?!\S)")
_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lo"})
_UNSPACED = ("CJK ", "HIRAGANA ", "KATAKANA", "THAI ", "LAO ", "KHMER ", "MYANMAR ", "TIBETAN ")
"""How the names of letters begin whose scripts put no spaces between words."""
_DIGITS = "zero one two three four five six seven eight nine".split()


@dataclass(frozen=True)
class Normalizer:
    """A way to make texts comparable: lower-case words between single spaces. The version rises
    with every change of what it does.
    """

    name: str
    version: int
    rule: Callable[[str], str]

    @property
    def id(self) -> str:
        """Name and version, as results hold them."""
        return f"{self.name}-{self.version}"

    def __call__(self, text: str) -> str:
        return self.rule(text)


def normalize_english(text: str) -> str:
    """English as Whisper's own normaliser has it: `fifty percent`, `50 percent` and `50%` are one.

    Fillers and what stands in square or round brackets are dropped, as they are there; what stands
    between `<` and `>` is kept. Times, digits said one by one and curly apostrophes are first
    written as that normaliser expects them.
    """
    text = unicodedata.normalize("NFKC", text).translate(_PLAIN_SIGNS)
    text = _CLOCK.sub(r"\1\2", text)
    text = _PERCENT.sub("%", text)
    text = _LEADING_ZERO.sub(_digit_by_digit, text)
    text = _LONE_DIGIT.sub(_digit_by_digit, text)
    return " ".join(_LONE_SIGNS.sub(" ", _whispers_rules(text)).split())


def normalize_unicode(text: str) -> str:
    """Any language's words: NFKC, lower case, no punctuation or symbols; marks (accents) stay."""
    return " ".join("".join(map(_sound, unicodedata.normalize("NFKC", text).lower())).split())


ENGLISH = Normalizer("english", 2, normalize_english)
OTHER = Normalizer("unicode", 2, normalize_unicode)
_OTHER_DOTTED_I = Normalizer(
    "unicode", 2, lambda text: normalize_unicode(text.replace("İ", "i").replace("I", "ı"))
)  # one normaliser: case itself goes by language


def normalizer_for(reference: str, language: str | None) -> Normalizer:
    """The normaliser of a reference.

    English rules are for English alone; where no language is named, a reference in Latin letters is
    taken for English. Other letters are never put through them: they would lose their marks, and
    different words would be one.
    """
    primary = re.split(r"[-_]", language.strip().lower())[0] if language else "en"
    if primary in _ENGLISH and _is_latin(reference):
        return ENGLISH
    return _OTHER_DOTTED_I if primary in _DOTTED_I else OTHER


def normalize(text: str, language: str | None = None) -> str:
    """The text as error rates compare it, by the normaliser of its language."""
    return normalizer_for(text, language)(text)


def separate_unspaced(text: str) -> str:
    """The text with each letter of scripts that put no spaces between words as a word of its own,
    its marks with it: a sentence is no word.
    """
    if text.isascii():
        return text
    signs, after = list[str](), False
    for sign in text:
        unspaced, is_mark = _is_unspaced(sign), unicodedata.category(sign)[0] == "M"
        if unspaced or (after and not is_mark):
            signs.append(" ")
        signs.append(sign)
        after = unspaced or (after and is_mark)
    return " ".join("".join(signs).split())


def join_unspaced(text: str) -> str:
    """The text without the spaces beside letters of scripts that put none between words: there
    they stand for punctuation, or are a matter of taste.
    """
    if text.isascii():
        return text
    joined = ""
    for word in text.split():
        letters = (sign for sign in reversed(joined) if unicodedata.category(sign)[0] != "M")
        touches = _is_unspaced(word[0]) or _is_unspaced(next(letters, " "))
        joined += word if touches or not joined else f" {word}"
    return joined


def _is_unspaced(sign: str) -> bool:
    is_letter = unicodedata.category(sign) in ("Lo", "Lm")
    return is_letter and unicodedata.name(sign, "").startswith(_UNSPACED)


def name_normalizers(references: Sequence[str], languages: Sequence[str | None]) -> str:
    """Ids of the normalisers of some references, the commonest first; with counts if several."""
    pairs = zip(references, languages, strict=True)
    ids = Counter(normalizer_for(*pair).id for pair in pairs).most_common()
    return ids[0][0] if len(ids) == 1 else ", ".join(f"{name} ({count})" for name, count in ids)


def _digit_by_digit(match: re.Match[str]) -> str:
    return " ".join(_DIGITS[int(digit)] for digit in match[0])


def _whispers_rules(text: str) -> str:
    try:
        return _whispers_normalizer()(text)
    except ValueError:  # a "number" of thousands of digits, as a decoder that loops may write
        return _whispers_normalizer()(re.sub(r"(\d{1000})(?=\d)", r"\1 ", text))


@lru_cache(maxsize=1)
def _whispers_normalizer() -> Callable[[str], str]:
    # Importing it takes most of a second: only who scores English pays.
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    return EnglishTextNormalizer(AmericanSpelling())


def _is_latin(text: str) -> bool:
    signs = unicodedata.normalize("NFKC", text)
    letters = (sign for sign in signs if unicodedata.category(sign) in _LETTERS)
    names = (unicodedata.name(letter, "") for letter in letters)
    return text.isascii() or all(name.startswith("LATIN") for name in names)


def _sound(sign: str) -> str:
    """The sign; a space for punctuation and symbols; nothing for joiners and directions."""
    category = unicodedata.category(sign)
    if category == "Cf":
        return ""
    return " " if category[0] in "PSZC" else sign
