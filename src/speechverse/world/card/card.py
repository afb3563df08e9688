"""The card as a whole: measured, written as a page and as JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speechverse import __version__
from speechverse.corpora import counts
from speechverse.corpora.samples import Samples, choose_samples
from speechverse.data import Corpus
from speechverse.errors import CorpusError, UserError
from speechverse.files import write_text
from speechverse.progress import Watch, watch_nothing
from speechverse.types import Seconds, Utterance
from speechverse.world.card import leakage

FORMAT = 2

_QUANTILES = {"lowest": 0.0, "5 %": 0.05, "median": 0.5, "95 %": 0.95, "highest": 1.0}


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
    settings: CardSettings
    splits: Mapping[str, counts.SplitSizes]
    fields: Sequence[counts.FieldCounts]
    overlaps: Sequence[counts.Overlap]
    checks: Sequence[leakage.LeakageCheck]
    durations: Mapping[str, Sequence[Seconds]]  # split → seconds of every clip
    levels: Mapping[str, Sequence[float]]  # split → dB below full scale of every clip listened to
    samples: Samples  # clips to play
    unreadable: Mapping[str, str]  # clips that could not be read: id → reason
    notes: Sequence[str]  # what is missing, and why

    @property
    def faults(self) -> list[str]:
        """Everything that is not as it should be, each in a sentence."""
        leaks = [
            f"{check.label} can be guessed from {check.cue}: UAR {check.uar:.2f}, limit"
            f" {check.limit:.2f}"
            for check in self.checks
            if check.passed is False
        ]
        return counts.common_faults(self.unreadable, self.overlaps) + leaks

    def as_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        return {
            "format": FORMAT,
            "speechverse": __version__,
            "corpus": self.name,
            "description": dict(self.description),
            "settings": asdict(self.settings),
            "splits": {split: asdict(sizes) for split, sizes in self.splits.items()},
            "fields": {field.name: asdict(field) for field in self.fields},
            "overlaps": [asdict(overlap) for overlap in self.overlaps],
            "leakage": [{**asdict(check), "passed": check.passed} for check in self.checks],
            "levels": {
                split: {name: round(float(np.quantile(v, q)), 2) for name, q in _QUANTILES.items()}
                for split, v in self.levels.items()
            },
            "unreadable": dict(self.unreadable),
            "faults": self.faults,
            "notes": list(self.notes),
        }


def make_card(
    corpus: Corpus,
    settings: CardSettings | None = None,
    watch: Watch = watch_nothing,
) -> Card:
    """Measures a corpus: any one; only labels that are there are shown.

    Raises:
        CorpusError: The corpus holds no clips, or its manifests are broken.
        MissingExtraError: The extra `eval` is not installed.
    """
    settings = settings or CardSettings()
    splits = {split: some for split in corpus.splits if (some := corpus.utterances(split))}
    if not splits:
        raise CorpusError(
            f"corpus '{corpus.name}' holds no clips, so there is nothing to make a card of"
        )
    fields = counts.find_fields(_everyone(splits))
    counted = [counts.count_field(field, splits) for field in fields]
    closed = [field for field, count in zip(fields, counted, strict=True) if count.closed]
    measured, unreadable = leakage.measure_clips(splits, settings.clips, settings.seed, watch)
    checks, notes = leakage.check_leakage(measured, settings.seed, watch)
    readable = [utterance for utterance in _everyone(splits) if utterance.id not in unreadable]
    skipped = {clip: reason for some in corpus.skipped.values() for clip, reason in some.items()}
    return Card(
        name=corpus.name,
        description={k: v for k, v in corpus.description.items() if k not in ("splits", "labels")},
        settings=settings,
        splits=counts.measure_splits(splits),
        fields=counted,
        overlaps=counts.find_overlaps(splits),
        checks=checks,
        durations={split: [clip.duration for clip in some] for split, some in splits.items()},
        levels={split: [clip.level for clip in some] for split, some in measured.items() if some},
        samples=choose_samples(closed, readable, settings.samples, settings.seed),
        unreadable={**skipped, **unreadable},
        notes=notes,
    )


def _everyone(splits: counts.Splits) -> list[Utterance]:
    return [utterance for utterances in splits.values() for utterance in utterances]


_OF_A_CORPUS = ("corpus.json", "synth.json")


def numbers_beside(page: Path) -> Path:
    """Where a card's numbers go: beside its page, under the same name.

    Raises:
        UserError: The page itself has that name, or they would be written over a corpus's own.
    """
    numbers = page.with_suffix(".json")
    if numbers.name in _OF_A_CORPUS:
        raise UserError(
            f"the page cannot be '{page}': its numbers would be written over a corpus's own"
            f" '{numbers.name}'; give it another name"
        )
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
    from speechverse.world.card.card_page import card_page

    page = page.absolute()
    numbers = numbers_beside(page)
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, card_page(card, page, command))
    content = {**card.as_dict(), "command": command}
    write_text(numbers, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return numbers
