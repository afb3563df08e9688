"""Labels offered on one corpus: accuracies of all who choose, with intervals, and every choice kept."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from speechverse import __version__
from speechverse.data import Corpus
from speechverse.decoding import DecodingOptions
from speechverse.encoders.ctc import CtcRecogniser
from speechverse.errors import CorpusError, UserError
from speechverse.evaluation.clips import ExampleCheck, Watch, hear
from speechverse.evaluation.offered.choosing import Choice, choose
from speechverse.evaluation.offered.lists import Offer, offer_labels
from speechverse.evaluation.provenance import describe_split
from speechverse.evaluation.results import save_results
from speechverse.evaluation.systems import SYSTEMS, Parts, check_systems, make_systems
from speechverse.metrics import Metric, bootstrap
from speechverse.metrics.classes import mean
from speechverse.protocols import Model, Processor

_OFFERABLE = tuple(name for name in SYSTEMS if name not in ("log-mel", "majority"))


@dataclass(frozen=True, slots=True)
class OfferSettings:
    """What is offered to whom.

    Attributes:
        split: The corpus's split.
        size: Labels in a list.
        systems: Names of systems; the rules read the transcripts of those that make one.
        limit: Clips of each stratum, chosen by hash; None takes all.
        seed: Of the lists, of the choice of clips and of the bootstrap.
        num_resamples: Bootstrap resamples under each interval.
    """

    split: str = "test"
    size: int = 8
    systems: tuple[str, ...] = ("speechverse", "cascade-ctc", "oracle")
    limit: int | None = None
    seed: int = 0
    num_resamples: int = 1000

    def __post_init__(self) -> None:
        if self.size < 2:
            raise UserError(f"a list of {self.size} leaves nothing to choose; offer at least 2 labels")
        if self.limit is not None and self.limit < 1:
            raise UserError(f"the limit is {self.limit}; it must be at least 1 (leave it out to take everything)")
        check_systems(self.systems)
        if not set(self.systems) <= set(_OFFERABLE):
            raise UserError(f"labels are offered to {', '.join(_OFFERABLE)}; leave the others out")

    @property
    def chance(self) -> float:
        """Accuracy of choosing blindly."""
        return 1 / self.size


@dataclass(frozen=True, slots=True)
class ChoiceScore:
    """Accuracy of one way to choose, on one stratum with one listing, with its 95 % bootstrap interval over clips.

    `num_labels` is how many different labels were right.
    """

    stratum: str
    listing: str
    system: str
    chooser: str
    value: float
    low: float
    high: float
    num_clips: int
    num_labels: int


@dataclass(frozen=True, slots=True)
class OfferedResults:
    """Everything measured on one corpus, with what it takes to measure it again; `skipped` counts clips by reason."""

    model: Mapping[str, Any]
    corpus: Mapping[str, Any]
    settings: Mapping[str, Any]
    chance: float
    systems: Mapping[str, str]
    scores: Sequence[ChoiceScore]
    skipped: Mapping[str, int]
    notes: Sequence[str]
    created: str = ""
    version: str = ""


def measure_offered(
    model: Model,
    processor: Processor,
    corpus: Corpus,
    settings: OfferSettings,
    *,
    output: Path | None = None,
    features: Path | None = None,
    recogniser: CtcRecogniser | None = None,
    about_model: Mapping[str, Any] | None = None,
    watch: Watch = lambda done, total, what: None,
) -> OfferedResults:
    """Offers each clip a few intents and counts who chooses its own.

    Args:
        model: The SpeechVerse model.
        processor: Its processor.
        corpus: Where the clips are.
        settings: What is offered to whom.
        output: Folder for `results.json` and `answers.jsonl`; None writes nothing.
        features: Folder for what the encoder hears, once for all; with None each clip is heard anew for every answer.
        recogniser: The CTC recogniser of the encoder, for `cascade-ctc` (see `provenance.find_recogniser`).
        about_model: What the results say of the model (see `provenance.describe`).
        watch: Told of progress.

    Raises:
        UserError: For an unknown split, too few intents in the corpus, or no clip that can be asked about.
        AudioError: If a clip's file is missing.
    """
    offers = offer_labels(corpus, settings.split, settings.size, settings.limit, settings.seed)
    parts = Parts(model, processor, DecodingOptions(), recogniser=recogniser)
    if features is not None and any(SYSTEMS[name](parts).hears for name in settings.systems):
        parts.cache = hear(model, processor, (offer.example for offer in offers), features, watch)
    offers, skipped = _usable(offers, ExampleCheck(processor, parts.cache))
    if not offers:
        raise CorpusError(f"split '{settings.split}' of corpus '{corpus.name}': no clip can be asked about: {skipped}")
    choices, notes = choose(parts, offers, settings.systems, watch)
    results = OfferedResults(
        model=dict(about_model or {}),
        corpus=describe_split(corpus, settings.split),
        settings=asdict(settings),
        chance=settings.chance,
        systems={system.name: system.title for system in make_systems(settings.systems, parts)},
        scores=_scores(choices, settings),
        skipped=skipped,
        notes=notes,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        version=__version__,
    )
    if output is not None:
        save_results(output, results, [choice.record() for choice in choices])
    return results


def _usable(offers: Sequence[Offer], check: ExampleCheck) -> tuple[list[Offer], dict[str, int]]:
    """The offers of clips that can be asked with every listing, so that all rows are of the same clips."""
    reasons: dict[str, str] = {}
    for offer in offers:
        if reason := check(offer.example):
            reasons[offer.example.utterance.id] = reason
    return [offer for offer in offers if offer.example.utterance.id not in reasons], dict(Counter(reasons.values()))


def _earned(credits: Sequence[float], references: Sequence[Any]) -> np.ndarray:
    return np.column_stack([np.asarray(credits, dtype=np.float64), np.ones(len(credits))])


_ACCURACY = Metric("accuracy", "accuracy", _earned, mean)
"""Accuracy where a tie counts as what choosing by lot would earn."""


def _scores(choices: Sequence[Choice], settings: OfferSettings) -> list[ChoiceScore]:
    rows: dict[tuple[str, str, str, str], list[Choice]] = {}
    for choice in choices:
        rows.setdefault((choice.offer.stratum, choice.offer.listing, choice.system, choice.chooser), []).append(choice)
    scores = []
    for row, made in rows.items():
        right = [choice.offer.example.target for choice in made]
        credits = [choice.credit for choice in made]
        interval = bootstrap(_ACCURACY, credits, right, num_samples=settings.num_resamples, seed=settings.seed)
        scores.append(ChoiceScore(*row, *interval, len(made), len(set(right))))
    return scores
