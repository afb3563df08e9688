"""The card as a whole: measured, written as a page and as JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from speechverse import __version__
from speechverse.data import Corpus
from speechverse.errors import CorpusError, UserError
from speechverse.files import write_text
from speechverse.progress import Watch, watch_nothing
from speechverse.types import Seconds
from speechverse.world.card.facts import Overlap, SplitFacts, overlaps, split_facts
from speechverse.world.card.fields import FieldCounts, count_field, find_fields
from speechverse.world.card.samples import Samples, choose_samples
from speechverse.world.card.shortcuts import Ceiling, hear, overlap_ceilings, shortcut_ceilings

FORMAT = 1


@dataclass(frozen=True, slots=True)
class CardSettings:
    """How a card is measured."""

    clips: int = 2000  # listened to in each split, at most
    seed: int = 0  # of their choice, of the samples and of the bootstrap
    samples: int = 3  # playable clips for each class
    embed: bool = False  # whether the page holds the samples' sound itself


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that the page shows."""

    name: str
    description: Mapping[str, Any]  # what `corpus.json` says of it, without splits and labels
    settings: CardSettings  # how it was measured
    splits: Mapping[str, SplitFacts]  # sizes by split
    fields: Sequence[FieldCounts]  # counts of every label field
    overlaps: Sequence[Overlap]
    ceilings: Sequence[Ceiling]  # what can be guessed without listening
    durations: Mapping[str, Sequence[Seconds]]  # split → seconds of every clip
    levels: Mapping[str, Sequence[float]]  # split → dB below full scale of every clip listened to
    samples: Samples  # clips to play
    unreadable: Mapping[str, str]  # clips that could not be read: id → reason
    notes: Sequence[str]  # what is missing, and why

    @property
    def faults(self) -> list[str]:
        """Everything that is not as it should be, each in a sentence."""
        shared = [
            f"{overlap.shared} {overlap.what} are in both {' and '.join(overlap.splits)}, such as "
            f"“{overlap.examples[0]}”; they should be apart"
            for overlap in self.overlaps
            if overlap.shared
        ]
        broken = [
            f"{ceiling.label} can be guessed from {ceiling.shortcut}: {ceiling.measure}"
            f" {ceiling.value:.2f}, limit {ceiling.limit:.2f}"
            for ceiling in self.ceilings
            if ceiling.met is False
        ]
        unread = [
            f"clips that cannot be read: {len(self.unreadable)}, such as “{clip}”: {reason}"
            for clip, reason in list(self.unreadable.items())[:1]
        ]
        return unread + shared + broken

    def as_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        return {
            "format": FORMAT,
            "speechverse": __version__,
            "corpus": self.name,
            "description": dict(self.description),
            "settings": asdict(self.settings),
            "splits": {split: asdict(facts) for split, facts in self.splits.items()},
            "fields": {field.name: asdict(field) for field in self.fields},
            "overlaps": [asdict(overlap) for overlap in self.overlaps],
            "ceilings": [{**asdict(ceiling), "met": ceiling.met} for ceiling in self.ceilings],
            "levels": {split: _spread(values) for split, values in self.levels.items()},
            "unreadable": dict(self.unreadable),
            "faults": self.faults,
            "notes": list(self.notes),
        }


def _spread(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    places = {"lowest": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "highest": 1.0}
    return {
        name: round(ordered[round(place * (len(ordered) - 1))], 2) for name, place in places.items()
    }


def make_card(
    corpus: Corpus,
    settings: CardSettings | None = None,
    watch: Watch = watch_nothing,
) -> Card:
    """Measures a corpus: any one; only labels that are there are shown.

    Raises:
        CorpusError: The corpus holds no clips, or its manifests are broken.
        MissingExtraError: scikit-learn is not installed.
    """
    settings = settings or CardSettings()
    splits = {
        split: utterances for split in corpus.splits if (utterances := corpus.utterances(split))
    }
    if not splits:
        raise CorpusError(
            f"corpus '{corpus.name}' holds no clips, so there is nothing to make a card of"
        )
    fields = find_fields(utterance for utterances in splits.values() for utterance in utterances)
    counts = [count_field(field, splits) for field in fields]
    closed = [field for field, count in zip(fields, counts, strict=True) if count.closed]
    heard, unreadable = hear(splits, settings.clips, settings.seed, watch)
    fitted, notes = shortcut_ceilings(heard, settings.seed, watch)
    skipped = {clip: reason for some in corpus.skipped.values() for clip, reason in some.items()}
    readable = {
        split: [u for u in some if u.id not in unreadable] for split, some in splits.items()
    }
    return Card(
        name=corpus.name,
        description={
            name: value
            for name, value in corpus.description.items()
            if name not in ("splits", "labels")
        },
        settings=settings,
        splits=split_facts(splits),
        fields=counts,
        overlaps=overlaps(splits),
        ceilings=[*fitted, *overlap_ceilings(corpus, settings.seed)],
        durations={
            split: [utterance.duration for utterance in some] for split, some in splits.items()
        },
        levels={split: [clip.level for clip in clips] for split, clips in heard.items() if clips},
        samples=choose_samples(closed, readable, settings.samples, settings.seed),
        unreadable={**skipped, **unreadable},
        notes=notes,
    )


def numbers_beside(page: Path) -> Path:
    """Where a card's numbers go: beside its page, under the same name.

    Raises:
        UserError: The page itself has that name.
    """
    numbers = page.with_suffix(".json")
    if numbers == page:
        raise UserError(
            f"the page cannot be '{page}', where its numbers go; give it another ending, such as"
            " .html"
        )
    return numbers


def write_card(card: Card, page: Path, command: str) -> Path:
    """Writes the page and, beside it, its numbers as JSON of the same name, whose path it gives.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UserError: The page has the name that its numbers take.
        DiskFullError: There is no room.
    """
    from speechverse.world.card.page import card_page

    page = page.absolute()
    numbers = numbers_beside(page)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, card_page(card, page, command))
    write_text(
        numbers,
        json.dumps({**card.as_dict(), "command": command}, indent=1, ensure_ascii=False) + "\n",
    )
    return numbers
