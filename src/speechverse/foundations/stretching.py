"""Text made to look like frames: tokens repeated, gaps between them, styles laid over them.

Audio reaches the LLM at 12.5 positions a second, four or so to a word, each blurred and each coloured by voice and
tone. A small LLM that has only read clean text cannot read that (without it: WER .48 instead of .25).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple


class Stream(NamedTuple):
    """What stands where the audio will: token ids, and the id of a style laid over each (0: none)."""

    ids: list[int]
    styles: list[int]


def clean(tokens: Sequence[int]) -> Stream:
    """Text as it is written."""
    return Stream(list(tokens), [0] * len(tokens))


def stretch(tokens: Sequence[int], rng: random.Random) -> Stream:
    """Repeats tokens one to four times, with gaps of blanks, and silence at both ends (id 0: no word).

    Args:
        tokens: Ids of the words.
        rng: Source of the draws; how much is stretched is drawn for the whole sample first.
    """
    repeat, gap = rng.uniform(0.0, 0.65), rng.uniform(0.0, 0.55)
    ids: list[int] = [0] * rng.randint(0, 5)
    for token in tokens:
        ids.append(token)
        for _ in range(3):
            if rng.random() >= repeat:
                break
            ids.append(token)
        while rng.random() < gap and len(ids) < 4 * len(tokens) + 16:
            ids.append(0)
    ids += [0] * rng.randint(0, 5)
    return Stream(ids, [0] * len(ids))


def lay_over(stream: Stream, styles: Sequence[int], rng: random.Random) -> Stream:
    """Colours positions with styles, each with one, as a voice colours every frame it speaks."""
    if not styles:
        return stream
    ids = stream.ids or [0] * rng.randint(2, 6)
    share = rng.uniform(0.35, 1.0)
    laid = [rng.choice(styles) if rng.random() < share else 0 for _ in ids]
    for style, place in zip(styles, rng.sample(range(len(ids)), min(len(ids), len(styles))), strict=False):
        laid[place] = style
    return Stream(ids, laid)
