"""What each clip is offered: a few intents, its own among them, listed by name or with what each one means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from speechverse.data import Corpus
from speechverse.data.asking import applicable, labels_for
from speechverse.errors import CorpusError
from speechverse.seeding import hash_seed, rng_for
from speechverse.tasks import Ask, LabelSet, Task, get_task
from speechverse.tasks.prompts import placeholders
from speechverse.types import Example, Utterance
from speechverse.world.language import grammar
from speechverse.world.language.overlap import draw_wrong, label_text

Listing = Literal["names", "descriptions"]
LISTINGS: tuple[Listing, ...] = get_args(Listing)

TASK = "ic"


@dataclass(frozen=True, slots=True)
class Offer:
    """One clip asked with one list.

    Attributes:
        example: The question; its choices are the labels offered.
        listing: How they are listed.
        stratum: The part of the corpus that the clip belongs to.
        texts: What each choice says: its name, and what it means where that is listed.
    """

    example: Example
    listing: Listing
    stratum: str
    texts: tuple[str, ...]

    @property
    def right(self) -> int:
        """The place of the right label among the choices."""
        return (self.example.choices or ()).index(self.example.reference)


def offer_labels(corpus: Corpus, split: str, size: int, limit: int | None = None, seed: int = 0) -> list[Offer]:
    """Asks every clip that has an intent which one of a few it is, once by name and once with descriptions.

    Right and wrong labels are of one kind, trained on or not, so that being new tells nothing; where there are too few,
    others fill up. The draw depends on the seed and the clip's id alone, and is the same for both listings.

    Args:
        corpus: Where the clips are; its inventory says which intents there are.
        split: Which split.
        size: Labels in a list.
        limit: At most this many clips of each stratum, chosen by hash.
        seed: Of all draws.

    Raises:
        CorpusError: If no clip has an intent, or the corpus has fewer intents than a list.
    """
    task = get_task(TASK)
    clips = applicable(task, corpus, split).utterances
    labels = labels_for(task, corpus)
    if labels is None or len(labels.names) < size:
        known = len(labels.names) if labels else 0
        raise CorpusError(f"corpus '{corpus.name}' has {known} intents; a list of {size} needs more, or ask for fewer")
    return [
        _offer(task, clip, labels, size, listing, seed) for clip in _limited(clips, limit, seed) for listing in LISTINGS
    ]


def _limited(clips: Sequence[Utterance], limit: int | None, seed: int) -> list[Utterance]:
    ranks: dict[str, int] = {}
    kept = set()
    for clip in sorted(clips, key=lambda clip: hash_seed(seed, "limit", clip.id)):
        rank = ranks[_stratum(clip)] = ranks.get(_stratum(clip), 0) + 1
        if limit is None or rank <= limit:
            kept.add(clip.id)
    return [clip for clip in clips if clip.id in kept]


def _offer(task: Task, clip: Utterance, labels: LabelSet, size: int, listing: Listing, seed: int) -> Offer:
    few = _drawn(clip, labels, size, seed)
    rng = rng_for(seed, "offered", clip.id, "question")
    template = rng.choice([wording for wording in task.prompts.seen if "labels" in placeholders(wording)])
    described = listing == "descriptions"
    ask = Ask(rng, "seen", few, training=False, max_listed=size, describe=float(described))
    texts = tuple(label_text(name, text if described else "") for name, text in few.descriptions.items())
    return Offer(task.render(clip, ask, template=template), listing, _stratum(clip), texts)


def _drawn(clip: Utterance, labels: LabelSet, size: int, seed: int) -> LabelSet:
    """The labels that a clip is offered, in a random order."""
    trained = {intent.name for intent in grammar.load().seen_intents}
    right = str(clip.labels["intent"])
    others = [name for name in labels.names if name != right]
    alike = [name for name in others if (name in trained) == (right in trained)]
    rest = [name for name in others if name not in alike]
    rng = rng_for(seed, "offered", clip.id)
    names = [right, *draw_wrong(rng, alike, rest, size - 1)]
    rng.shuffle(names)
    return LabelSet(labels.field, {name: labels.descriptions[name] for name in names})


def _stratum(clip: Utterance) -> str:
    return str(clip.labels.get("stratum", "all"))
