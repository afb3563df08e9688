"""The English text normaliser that WER is counted under, in the manner of Whisper's.

It lower-cases, drops fillers and what stands in brackets, spells out contractions and whole numbers, and removes
punctuation and diacritics. Its id is stored with every result; any change of behaviour takes a new id.
"""

from __future__ import annotations

import re
import unicodedata

NORMALIZER_ID = "english-1"

_BRACKETED = re.compile(r"[<\[][^>\]]*[>\]]|\([^)]*\)")
_FILLERS = re.compile(r"\b(hmm|hm|mm|mhm|mmm|uh|um|erm)\b")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
_NUMBER = re.compile(r"\d+")
_NOT_WORD = re.compile(r"[^\w\s]|_")

_CONTRACTIONS = [
    (re.compile(pattern), spelled)
    for pattern, spelled in (
        (r"\bwon't\b", "will not"),
        (r"\bcan't\b", "can not"),
        (r"\bcannot\b", "can not"),
        (r"\blet's\b", "let us"),
        (r"\bain't\b", "aint"),
        (r"\by'all\b", "you all"),
        (r"\bwanna\b", "want to"),
        (r"\bgonna\b", "going to"),
        (r"\bgotta\b", "got to"),
        (r"n't\b", " not"),
        (r"'re\b", " are"),
        (r"'ll\b", " will"),
        (r"'ve\b", " have"),
        (r"'m\b", " am"),
        (r"'d\b", " would"),
        (r"\b(it|he|she|that|there|here|what|who|where|when|how)'s\b", r"\1 is"),
    )
]

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))


def normalize_english(text: str) -> str:
    """The text as WER compares it: lower-case words between single spaces."""
    text = unicodedata.normalize("NFKD", text.lower().replace("’", "'"))
    text = _BRACKETED.sub(" ", text)
    text = _FILLERS.sub(" ", text)
    for pattern, spelled in _CONTRACTIONS:
        text = pattern.sub(spelled, text)
    text = _THOUSANDS.sub("", text)
    text = _NUMBER.sub(lambda match: f" {spell_number(match.group())} ", text)
    text = "".join(letter for letter in text if not unicodedata.combining(letter)).replace("'", "")
    return " ".join(_NOT_WORD.sub(" ", text).split())


def spell_number(digits: str) -> str:
    """A whole number in words; with a leading zero or beyond twelve digits, digit by digit."""
    if len(digits) > 12 or (digits[0] == "0" and len(digits) > 1):
        return " ".join(_ONES[int(digit)] for digit in digits)
    return _spell(int(digits))


def _spell(number: int) -> str:
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens - 2] + (f" {_ONES[ones]}" if ones else "")
    size, name = next(scale for scale in _SCALES if number >= scale[0])
    count, rest = divmod(number, size)
    return f"{_spell(count)} {name}" + (f" {_spell(rest)}" if rest else "")
