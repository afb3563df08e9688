"""Passages of plain text to be read aloud: whole sentences in their order."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from speechverse.errors import UserError
from speechverse.files import read_text
from speechverse.seeding import rng_for
from speechverse.world.language import Part, part_of

LONGEST = 50
"""Words of a passage at most: some twenty seconds."""

_SENTENCE_END = re.compile(r"""(?<=[.!?])["')\u201d\u2019]*\s+(?=["'(\u201c\u2018]*[A-Z])""")
_TITLES = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|Hon|Rev|Gen|Col|Capt|No|vs|etc|[A-Z])\.$")
_SPOKEN = re.compile(r"[A-Z][A-Za-z' ,;:?!.-]*[.?!]")
_CAPITALS = re.compile(r"\b[A-Z]{2,}\b")
_QUOTES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u201c": '"', "\u201d": '"', "_": ""})


def draw_passages(
    paths: Sequence[Path], sizes: Mapping[Part, int], seed: int = 1, without: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Lines for `read_lines`, of 3 to `LONGEST` words; no text twice, none of `without`.

    A passage belongs to one part alone, whatever the seed. `paths` are text files (UTF-8,
    paragraphs parted by empty lines) or folders of `*.txt`.

    Raises:
        UserError: A file cannot be read, or holds too few passages that can be read aloud as they
            stand.
    """
    rng = rng_for(seed, "prose")
    seen = {text.casefold() for text in without}
    unique = dict.fromkeys(_passages(paths, rng))
    passages = [text for text in unique if text.casefold() not in seen]
    rng.shuffle(passages)
    lines = []
    for part, size in sizes.items():
        own = [text for text in passages if part_of(text.strip(".!?")) == part]
        if len(own) < size:
            raise UserError(
                f"the texts hold {len(own)} passages for {part}, not {size}: give more, or ask for"
                " fewer"
            )
        lines += [{"split": part, "text": text, "stratum": "prose"} for text in own[:size]]
    return lines


def _passages(paths: Sequence[Path], rng: random.Random) -> Iterator[str]:
    for path in _files(paths):
        try:
            text = read_text(path)
        except OSError as error:
            raise UserError(f"'{path}' cannot be read: {error}") from error
        except ValueError as error:
            raise UserError(f"'{path}' cannot be read as text: it {error}") from error
        for paragraph in re.split(r"\n\s*\n", text):
            yield from _join(_sentences(paragraph), rng)


def _files(paths: Sequence[Path]) -> list[Path]:
    found = ((sorted(path.glob("*.txt")) if path.is_dir() else [path]) for path in paths)
    files = [file for some in found for file in some]
    if not files:
        raise UserError(f"no *.txt in {', '.join(map(str, paths))}")
    return files


def _sentences(paragraph: str) -> list[str]:
    plain = re.sub(r"\s+", " ", re.sub("--|\u2014", ", ", paragraph.translate(_QUOTES))).strip()
    sentences: list[str] = []
    for piece in _SENTENCE_END.split(plain):
        if sentences and _TITLES.search(sentences[-1]):
            sentences[-1] += f" {piece}"
        else:
            sentences.append(piece)
    unquoted = (sentence.replace('"', "") for sentence in sentences)
    return [re.sub(r" +([,;:.?!])", r"\1", sentence).strip(" '") for sentence in unquoted]


def _join(sentences: Sequence[str], rng: random.Random) -> Iterator[str]:
    """Runs of sentences; one that cannot be read ends a run and is left out."""
    run: list[str] = []
    limit = rng.randint(3, LONGEST)
    for sentence in [*sentences, ""]:
        fits = _can_be_read(sentence)
        if run and (not fits or len(" ".join([*run, sentence]).split()) > limit):
            yield " ".join(run)
            run, limit = [], rng.randint(3, LONGEST)
        if fits:
            run.append(sentence)


def _can_be_read(sentence: str) -> bool:
    """Whether it has no figures, no foreign letters, no abbreviation, and not too many words."""
    is_plain = bool(_SPOKEN.fullmatch(sentence)) and not _CAPITALS.search(sentence)
    return is_plain and 3 <= len(sentence.split()) <= LONGEST
