"""What the small LLM reads and writes: the text side of the tasks, and practice, in batches of like length."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from speechverse.foundations.lm_model import LmBatch
from speechverse.foundations.practice import Practice
from speechverse.foundations.recipe import LmData
from speechverse.foundations.stretching import Stream, clean, lay_over, stretch
from speechverse.foundations.text_side import TextSide
from speechverse.seeding import rng_for

WINDOW = 32
"""Batches drawn, sorted by length and shuffled together."""


class Sample(NamedTuple):
    """One question on one stream.

    Attributes:
        stream: What stands where the audio will.
        prompt: Ids of the template's rest: line break, instruction, end.
        target: Ids to write, the end included.
        blur: Upper bounds, 0 where the text is clean, of how far positions run into each other.
        noise: And of what disturbs them.
        strength: What a style weighs beside a piece.
    """

    stream: Stream
    prompt: list[int]
    target: list[int]
    blur: float = 0.0
    noise: float = 0.0
    strength: float = 0.7

    @property
    def cost(self) -> int:
        return len(self.stream.ids) + len(self.prompt) + len(self.target)


class SampleMaker:
    """Draws samples: the tasks on the world's sentences, or practice."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, text_side: TextSide, practice: Practice, data: LmData
    ) -> None:
        self.tokenizer, self.text_side, self.practice, self.data = tokenizer, text_side, practice, data

    def draw(self, rng: random.Random, practice_share: float, longest: int = 14, hardness: float = 1.0) -> Sample:
        """One sample.

        Args:
            rng: Source of the draws.
            practice_share: Share of practice.
            longest: Most words of a practice string.
            hardness: 0 to 1: how much of all wordings, of rewording, and of what makes text look like frames.
        """
        stretched = rng.random() < hardness * self.data.stretched
        if rng.random() < practice_share:
            said, instruction, target = self.practice.draw(rng, longest)
            styles: list[str] = self.text_side.idle_styles(rng)
        else:
            side, data = self.text_side, self.data
            free = rng.random() < data.questions
            drawn = side.draw_free(rng) if free else side.draw(rng, data.renamed, hardness * data.reworded, hardness)
            said, instruction, target, styles = drawn
        return self.make(said, instruction, target, styles, rng, stretched, hardness)

    def make(
        self,
        said: str,
        instruction: str,
        target: str,
        styles: Sequence[str],
        rng: random.Random,
        stretched: bool,
        hardness: float = 1.0,
    ) -> Sample:
        """Tokens of a question, its stream stretched and disturbed or not, its styles laid over it."""
        tokens = self.ids(said)[:-1]
        stream = stretch(tokens, rng) if stretched else clean(tokens)
        stream = lay_over(stream, [self.ids(style)[0] for style in styles], rng)
        prompt, answer = self.ids("\n" + instruction), self.ids(target)
        strength = rng.uniform(0.15, 0.8)
        if not stretched:
            return Sample(stream, prompt, answer, strength=strength)
        blur, noise = hardness * rng.uniform(0.0, 0.5), hardness * rng.uniform(0.0, 2.2)
        return Sample(stream, prompt, answer, blur, noise, strength)

    def ids(self, text: str) -> list[int]:
        """Ids of a text, the end token last."""
        return self.tokenizer(text)["input_ids"]


class LmBatches:
    """Batch number `step` of an endless, repeatable sequence, each with about the same number of tokens."""

    def __init__(self, maker: SampleMaker, data: LmData, max_positions: int) -> None:
        """Takes who draws, how much, and how many positions the LLM has: no batch is moved beyond them."""
        self.maker, self.data, self.max_positions = maker, data, max_positions
        self._window: tuple[int, list[list[Sample]]] = (-1, [])

    def __getitem__(self, step: int) -> LmBatch:
        window = step // WINDOW
        if window != self._window[0]:
            self._window = (window, self._draw_window(window))
        samples, rng = self._window[1][step % WINDOW], rng_for(self.data.seed, "moved", step)
        behind = rng.randint(0, self.data.moved_by) if rng.random() < self.data.moved else 0
        longest = max(len(sample.stream.ids) + len(sample.prompt) for sample in samples)
        return collate(samples, min(behind, max(0, self.max_positions - longest)))

    def practice_share(self, step: int) -> float:
        """Practice first, then the tasks beside it."""
        done = min(1.0, step / self.data.practice_falls_over)
        return self.data.practice_at_start + done * (self.data.practice - self.data.practice_at_start)

    def longest(self, step: int) -> int:
        """Short strings first: they are cheap, and what is learned on them carries over."""
        return 5 + round(9 * min(1.0, step / self.data.practice_falls_over))

    def hardness(self, step: int) -> float:
        """Text as it is written and few wordings first: copying is learned much sooner on them."""
        done = min(1.0, step / self.data.hardens_over) if self.data.hardens_over else 1.0
        return self.data.hardness_at_start + done * (1.0 - self.data.hardness_at_start)

    def _draw_window(self, window: int) -> list[list[Sample]]:
        rng = rng_for(self.data.seed, "window", window)
        step = window * WINDOW
        share, longest, hardness = self.practice_share(step), self.longest(step), self.hardness(step)
        budget = WINDOW * self.data.batch_tokens
        samples: list[Sample] = []
        while budget > 0:
            sample = self.maker.draw(rng, share, longest, hardness)
            if sample.cost <= self.data.max_tokens:  # a longer one is drawn again
                samples.append(sample)
                budget -= sample.cost
        samples.sort(key=lambda sample: sample.cost)
        batches = list(_equal_parts(samples, WINDOW))
        rng.shuffle(batches)
        return batches


def _equal_parts(samples: list[Sample], parts: int) -> Iterator[list[Sample]]:
    """Cuts samples, sorted by length, into parts of about equal padded size, none of them empty."""
    start, left = 0, sum(sample.cost for sample in samples)
    for part in range(parts, 0, -1):
        size, end = 0, start
        while end < len(samples) - (part - 1) and (end == start or size < left / part):
            size += samples[end].cost
            end += 1
        end = len(samples) if part == 1 else end
        yield samples[start:end]
        left -= size
        start = end


def collate(samples: Sequence[Sample], behind: int = 0) -> LmBatch:
    """Pads samples to a batch: stream, then prompt, then padding.

    Args:
        samples: One a row.
        behind: Positions of silence in front of all of them, which nothing attends to.
    """
    front = [0] * behind
    read = [[*front, *sample.stream.ids, *sample.prompt] for sample in samples]
    lengths = torch.tensor([len(ids) for ids in read])
    said = behind + torch.tensor([len(sample.stream.ids) for sample in samples])
    places = torch.arange(int(lengths.max()))
    return LmBatch(
        ids=_padded(read, 0),
        styles=_padded([[*front, *s.stream.styles, *[0] * len(s.prompt)] for s in samples], 0),
        mask=((places >= behind) & (places < lengths[:, None])).long(),
        strength=torch.tensor([sample.strength for sample in samples])[:, None, None],
        blur=torch.tensor([sample.blur for sample in samples])[:, None, None],
        noise=torch.tensor([sample.noise for sample in samples])[:, None, None],
        said=places < said[:, None],
        labels=_padded([sample.target for sample in samples], -100),
    )


def _padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (width - len(row))] for row in rows])
