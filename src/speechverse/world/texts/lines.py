"""Lines to be spoken in an open vocabulary: WordNet's sentences, the spoken world's requests,
words, digits, spelling.

Written as people write: a capital first, a stop at the end, numbers in words, which is also how
they are spoken.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from typing import Any

from speechverse.errors import UserError, unknown_name
from speechverse.seeding import rng_for
from speechverse.world.language import Part, draw_sentence, part_of
from speechverse.world.texts.spelling import draw_digits_or_spelling
from speechverse.world.texts.wordnet import WordNet
from speechverse.world.texts.writing import add_capitals_and_stop

SHARES = {"sentences": 0.42, "glosses": 0.13, "requests": 0.25, "words": 0.10, "digits": 0.10}
"""Kind of text → its share of the lines."""

_DRAWS = 1000  # in vain, before a kind counts as used up
_REQUESTS = {"grammar": 0.8, "free": 0.2}
_SINGLE_WORDS = 0.6  # of the kind "words"; the others are phrases of two or three


def draw_lines(
    wordnet: WordNet,
    sizes: Mapping[Part, int],
    seed: int = 1,
    shares: Mapping[str, float] = SHARES,
    without: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Lines for `read_lines`, with the labels that are known of them; no text twice, none of
    `without`.

    A sentence belongs to one part alone, whatever the seed; words and digits belong to all.

    Raises:
        UserError: A kind has fewer texts than were asked for.
    """
    seen = {text.casefold() for text in without}
    lines = []
    for part, size in sizes.items():
        rng = rng_for(seed, "open text", part)
        for kind in rng.choices(list(shares), list(shares.values()), k=size):
            lines.append({"split": part, **_draw_new(kind, part, wordnet, rng, seen)})
    return lines


def _draw_new(
    kind: str, part: Part, wordnet: WordNet, rng: random.Random, seen: set[str]
) -> dict[str, Any]:
    """A new text of a kind, but for single digits; a sentence of the part, as words are too few."""
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


def _draw(kind: str, part: Part, wordnet: WordNet, rng: random.Random) -> dict[str, Any]:
    match kind:
        case "requests":
            (stratum,) = rng.choices(list(_REQUESTS), list(_REQUESTS.values()))
            sentence = draw_sentence(part, rng, stratum)
            text = add_capitals_and_stop(sentence.text, wordnet.proper, sentence.slots)
            return {"text": text, **sentence.labels}
        case "sentences":
            stratum, text = "wordnet", rng.choice(wordnet.sentences)
        case "glosses":
            stratum, text = "gloss", rng.choice(wordnet.glosses)
        case "words":
            is_single = rng.random() < _SINGLE_WORDS
            stratum = "word" if is_single else "phrase"
            text = rng.choice(wordnet.words if is_single else wordnet.phrases)
        case "digits":
            stratum, text = draw_digits_or_spelling(rng, wordnet.words)
        case _:
            raise UserError(unknown_name("kind of text", kind, SHARES))
    return {"text": add_capitals_and_stop(text, wordnet.proper), "stratum": stratum}
