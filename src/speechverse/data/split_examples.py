"""A split asked one task for evaluation: every utterance (or a fixed choice of them), the same
questions every time.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from speechverse.data.applicable import LeftOut, Words, applicable
from speechverse.data.corpus import Corpus
from speechverse.seeding import hash_seed, rng_for
from speechverse.tasks import Ask, Task, get_task
from speechverse.tasks.task import DESCRIBED
from speechverse.types import Example, Utterance

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rendered:
    """A split asked one task: the examples, in the manifest's order, and what of the split is not
    asked.
    """

    examples: list[Example]
    left_out: LeftOut


def render_split(
    corpus: Corpus,
    split: str,
    task: Task | str,
    *,
    wording: Literal["seen", "held_out"] = "held_out",
    limit: int | None = None,
    seed: int = 0,
    describe: float = DESCRIBED,
) -> Rendered:
    """Renders a split for a task; each example depends on seed, task and utterance alone.

    Args:
        corpus: Where the utterances come from.
        task: The task, or its name.
        wording: Instructions the model was trained with, or ones it never saw.
        limit: At most this many utterances, chosen by hash; a smaller limit's are among a larger
            one's.
        seed: Seed of the choice and of every draw.
        describe: Probability that listed labels carry their descriptions; all else is drawn alike.

    Returns:
        The examples; a task that asks several things of one clip gives one example each.

    Raises:
        CorpusError: If no utterance of the split has what the task asks for.
    """
    task = get_task(task) if isinstance(task, str) else task
    words = Words.of(corpus, split)
    found = applicable(task, corpus, split, words)
    labels = corpus.labels_with(task.label_fields)
    examples = [
        task.render(
            utterance,
            Ask(
                rng_for(seed, task.name, utterance.id),
                wording,
                labels,
                training=False,
                describe=describe,
                **words._asdict(),
            ),
            variant,
        )
        for utterance in take_at_most(found.utterances, limit, seed)
        for variant in found.variants(task, utterance)
    ]
    return Rendered(examples, found.left_out)


def render_for_evaluation(
    corpus: Corpus,
    split: str,
    task: Task | str,
    *,
    wording: Literal["seen", "held_out"] = "held_out",
    limit: int | None = None,
    seed: int = 0,
) -> list[Example]:
    """The examples of `render_split` alone; labels that the task cannot use are logged."""
    rendered = render_split(corpus, split, task, wording=wording, limit=limit, seed=seed)
    if told := rendered.left_out.describe_refused():
        log.warning("corpus '%s', split '%s': not asked: %s", corpus.name, split, told)
    return rendered.examples


def take_at_most(
    utterances: Sequence[Utterance], limit: int | None, seed: int = 0
) -> Sequence[Utterance]:
    """At most so many, chosen by hash and in their order: a manifest may come sorted by class."""
    if limit is None or limit >= len(utterances):
        return utterances
    places = sorted(
        range(len(utterances)), key=lambda place: hash_seed(seed, "limit", utterances[place].id)
    )
    return [utterances[place] for place in sorted(places[:limit])]
