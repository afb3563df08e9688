"""Lines to be spoken in an open vocabulary: WordNet's sentences, the spoken world's requests,
words, digits, spelling.

Written as people write: a capital first, a stop at the end, numbers in words, which is also how
they are spoken.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from speechverse.errors import UserError
from speechverse.files import write_text
from speechverse.seeding import rng_for
from speechverse.world.language import draw_sentence
from speechverse.world.language.sentence import Part, part_of
from speechverse.world.spelling import digits_or_spelling
from speechverse.world.wordnet import WordNet
from speechverse.world.written import as_written

SHARES = {"sentences": 0.42, "glosses": 0.13, "requests": 0.25, "words": 0.10, "digits": 0.10}
"""Kind of text → its share of the lines."""

_DRAWS = 1000  # in vain, before a kind counts as used up
_REQUESTS = {"grammar": 0.8, "free": 0.2}
_SINGLE_WORDS = 0.6  # of the kind "words"; the others are phrases of two or three


def _draw(kind: str, part: Part, wordnet: WordNet, rng: random.Random) -> dict[str, Any]:
    match kind:
        case "requests":
            stratum = rng.choices(list(_REQUESTS), list(_REQUESTS.values()))[0]
            sentence = draw_sentence(part, rng, stratum)
            return {
                "text": as_written(sentence.text, wordnet.proper, sentence.slots),
                **sentence.labels,
            }
        case "sentences":
            stratum, text = "wordnet", rng.choice(wordnet.sentences)
        case "glosses":
            stratum, text = "gloss", rng.choice(wordnet.glosses)
        case "words":
            alone = rng.random() < _SINGLE_WORDS
            stratum, text = (
                "word" if alone else "phrase",
                rng.choice(wordnet.words if alone else wordnet.phrases),
            )
        case _:
            stratum, text = digits_or_spelling(rng, wordnet.words)
    return {"text": as_written(text, wordnet.proper), "stratum": stratum}


def draw_lines(
    wordnet: WordNet,
    sizes: Mapping[Part, int],
    seed: int = 1,
    shares: Mapping[str, float] | None = None,
    without: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Lines for `read_lines`, with the labels that are known of them; no text twice, none of
    `without`.

    A sentence belongs to one part alone, whatever the seed; words and digits belong to all.

    Raises:
        UserError: A kind has fewer texts than were asked for.
    """
    shares = SHARES if shares is None else shares
    if unknown := set(shares) - set(SHARES):
        raise UserError(
            f"no kind of text is called {', '.join(sorted(unknown))} (known: {', '.join(SHARES)})"
        )
    if not sum(shares.values()) > 0 or min(shares.values()) < 0:
        raise UserError("the shares of the kinds of text are 0 or more, and one of them is more")
    seen = {text.casefold() for text in without}
    return [
        line
        for part, size in sizes.items()
        for line in _part_lines(part, size, wordnet, seed, shares, seen)
    ]


def _part_lines(
    part: Part, size: int, wordnet: WordNet, seed: int, shares: Mapping[str, float], seen: set[str]
) -> Iterator[dict[str, Any]]:
    rng = rng_for(seed, "open text", part)
    for kind in rng.choices(list(shares), list(shares.values()), k=size):
        yield {"split": part, **_new(kind, part, wordnet, rng, seen)}


def _new(
    kind: str, part: Part, wordnet: WordNet, rng: random.Random, seen: set[str]
) -> dict[str, Any]:
    """A text of a kind that is new, but for single digits; words and digits are too few to keep the
    parts apart.
    """
    for _ in range(_DRAWS):
        line = _draw(kind, part, wordnet, rng)
        text = line["text"].casefold()
        belongs = kind not in ("sentences", "glosses") or part_of(text.strip(".!?")) == part
        if (kind == "digits" and " " not in text) or (text not in seen and belongs):
            seen.add(text)
            return line
    raise UserError(
        f"the {kind} are used up: after {_DRAWS} draws none was new; ask for fewer, or another"
        " share"
    )


def write_lines(path: Path, lines: list[dict[str, Any]]) -> None:
    """Writes them as JSONL, whole or not at all."""
    write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
