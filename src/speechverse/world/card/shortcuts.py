"""Shortcut ceilings: how well a label can be guessed from what should not tell it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from speechverse.audio import load
from speechverse.audio.waveform import active_level_db
from speechverse.data import Corpus
from speechverse.errors import AudioError, MissingExtraError
from speechverse.evaluation.folds import NUM_FOLDS, speaker_folds
from speechverse.evaluation.linear import fit_linear
from speechverse.evaluation.log_mels import mean_log_mels
from speechverse.metrics import bootstrap
from speechverse.seeding import rng_for
from speechverse.types import Utterance
from speechverse.world.card.facts import TRAIN, words_of
from speechverse.world.card.fields import shown
from speechverse.world.language import inventory, overlap

if TYPE_CHECKING:
    from speechverse.progress import Watch

NEAR_CHANCE = 0.10
"""How far above chance still counts as near it."""

_TESTED_ON = ("dev", "validation", "test")
_FEWEST = 10  # clips to test on; below it a number says nothing
_DRAWS = 2000  # sentences whose words are compared with labels
_OVERLAP_LIMITS = {False: 0.35, True: 0.55}  # by whether descriptions are read beside the names


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How well one shortcut does; `value` is from 0 to 1, with its 95 % interval,
    and low is good.
    """

    label: str
    shortcut: str
    measure: str  # "UAR" or "accuracy"
    value: float
    low: float
    high: float
    chance: float
    majority: float | None  # accuracy of always naming the commonest class
    limit: float | None  # the value must not be above it; None where it is only reported
    clips: int  # tested on
    how: str  # where it was fitted and tested

    @property
    def met(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        return None if self.limit is None else round(self.value, 3) <= round(self.limit, 3)


class Shortcut(NamedTuple):
    """A label, what it must not be guessed from, and how well at most."""

    label: str
    cue: str  # "mean log-mels", "duration" or "words"
    limit: float | None = None  # highest UAR
    near_chance: bool = False  # the limit is `NEAR_CHANCE` above chance


SHORTCUTS = (
    Shortcut("emotion", "mean log-mels", 0.60),
    Shortcut("sentiment", "mean log-mels", 0.60),
    Shortcut("accent", "mean log-mels"),
    Shortcut("num_speakers", "mean log-mels"),
    Shortcut("num_speakers", "duration", near_chance=True),
    Shortcut("emotion", "words", near_chance=True),
    Shortcut("sentiment", "words", near_chance=True),
    Shortcut("accent", "words", near_chance=True),
)


class Heard(NamedTuple):
    """One clip that was listened to."""

    utterance: Utterance
    level: float  # of its sounding parts, in dB below full scale
    mels: np.ndarray  # (80,) time means of its log-mels


def hear(
    splits: Mapping[str, Sequence[Utterance]], num_clips: int, seed: int, watch: Watch
) -> tuple[dict[str, list[Heard]], dict[str, str]]:
    """Listens to at most `num_clips` clips of every split, drawn by `seed`.

    Returns:
        Split → clips in the manifest's order, and of those that cannot be read, id → reason.
    """
    samples = {
        split: _sample(utterances, num_clips, seed, split) for split, utterances in splits.items()
    }
    heard: dict[str, list[Heard]] = {split: [] for split in samples}
    unreadable: dict[str, str] = {}
    order = [
        (split, utterance) for split, utterances in samples.items() for utterance in utterances
    ]
    advance = watch("listening", len(order))
    for split, utterance in order:
        try:
            sound = load(utterance.audio).samples
            heard[split].append(Heard(utterance, active_level_db(sound), mean_log_mels(sound)))
        except AudioError as error:
            unreadable[utterance.id] = str(error)
        advance(1)
    return heard, unreadable


def _sample(
    utterances: Sequence[Utterance], num_clips: int, seed: int, split: str
) -> list[Utterance]:
    rows = range(len(utterances))
    chosen = (
        rows
        if len(rows) <= num_clips
        else sorted(rng_for(seed, "card", split).sample(rows, num_clips))
    )
    return [utterances[row] for row in chosen]


def shortcut_ceilings(
    heard: Mapping[str, Sequence[Heard]], seed: int, watch: Watch
) -> tuple[list[Ceiling], list[str]]:
    """Fits every shortcut whose label the corpus has; gives the ceilings, and why others are
    missing.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    ceilings, notes = [], []
    advance = watch("fitting shortcuts", len(SHORTCUTS))
    for shortcut in SHORTCUTS:
        known = {
            split: [clip for clip in clips if _label(clip, shortcut)]
            for split, clips in heard.items()
        }
        known = {split: clips for split, clips in known.items() if clips}
        if not known:
            continue
        ceiling = _ceiling(shortcut, known, seed)
        advance(1)
        if isinstance(ceiling, str):
            notes.append(f"{shortcut.label} from {shortcut.cue} is not measured: {ceiling}")
        else:
            ceilings.append(ceiling)
    return ceilings, notes


def _label(clip: Heard, shortcut: Shortcut) -> str:
    """What is to be guessed; "" where the clip cannot be used."""
    value = clip.utterance.labels.get(shortcut.label)
    wordless = shortcut.cue == "words" and not clip.utterance.text
    return "" if value is None or wordless else shown(value)


_Part = tuple[Sequence[Heard], Sequence[Heard]]


def _parts(known: Mapping[str, Sequence[Heard]], seed: int) -> tuple[list[_Part], str]:
    """What is fitted on and what tested on, once or fold by fold."""
    others = [split for split in known if split != TRAIN]
    if TRAIN in known and others:
        tested = next((split for split in _TESTED_ON if split in others), others[0])
        return [
            (known[TRAIN], known[tested])
        ], f"fitted on {TRAIN} ({len(known[TRAIN])} clips), tested on {tested}"
    clips = [clip for split in known.values() for clip in split]
    folds = speaker_folds([clip.utterance for clip in clips], seed)
    parts: list[_Part] = [
        ([clips[row] for row in fitted], [clips[row] for row in tested]) for fitted, tested in folds
    ]
    return parts, f"{NUM_FOLDS} groups of speakers, apart"


def _ceiling(shortcut: Shortcut, known: Mapping[str, Sequence[Heard]], seed: int) -> Ceiling | str:
    """The ceiling, or why there is none."""
    parts, how = _parts(known, seed)
    guesses: list[str] = []
    truth: list[str] = []
    for fitted, tested in parts:
        labels = [_label(clip, shortcut) for clip in fitted]
        if len(set(labels)) < 2:
            continue
        model = _fitted(shortcut.cue, fitted, labels)
        guesses += list(model.predict(_cues(shortcut.cue, tested)))
        truth += [_label(clip, shortcut) for clip in tested]
    classes = len(set(truth))
    if len(truth) < _FEWEST or classes < 2:
        return f"{len(truth)} clips of {classes} classes to test on are too few"
    interval = bootstrap("uar", guesses, truth, seed=seed)
    chance = 1 / classes
    limit = chance + NEAR_CHANCE if shortcut.near_chance else shortcut.limit
    majority = max(truth.count(name) for name in set(truth)) / len(truth)
    return Ceiling(
        shortcut.label, shortcut.cue, "UAR", *interval, chance, majority, limit, len(truth), how
    )


def _cues(cue: str, clips: Sequence[Heard]) -> Any:
    if cue == "words":
        return [clip.utterance.text or "" for clip in clips]
    if cue == "duration":
        seconds = np.array([clip.utterance.duration for clip in clips])
        return np.column_stack(
            [seconds, seconds**2]
        )  # so that "neither short nor long" can be learned too
    return np.stack([clip.mels for clip in clips])


def _fitted(cue: str, clips: Sequence[Heard], labels: Sequence[str]) -> Any:
    first = None
    if cue == "words":
        try:
            from sklearn.feature_extraction.text import CountVectorizer
        except ModuleNotFoundError as error:
            raise MissingExtraError("measuring shortcuts", "eval") from error
        first = CountVectorizer(binary=True, analyzer=_words_and_one)
    return fit_linear(_cues(cue, clips), labels, penalty=1 / len(labels), first=first)


def _words_and_one(text: str) -> list[str]:
    """The words, and one that every text has: scikit-learn refuses an empty vocabulary."""
    return ["<any>", *words_of(text)]


def overlap_ceilings(corpus: Corpus, seed: int) -> list[Ceiling]:
    """How much the sentences share with label names and descriptions; for a corpus of the spoken
    world alone.
    """
    intents = set(corpus.labels["intent"].descriptions) if "intent" in corpus.labels else set()
    if not intents or not intents <= set(inventory(held_out=True)["intent"]):
        return []
    pools: tuple[Literal["held_out", "seen"], ...] = ("held_out", "seen")
    return [
        _overlap(pool, descriptions, seed) for pool, descriptions in product(pools, _OVERLAP_LIMITS)
    ]


def _overlap(pool: Literal["held_out", "seen"], descriptions: bool, seed: int) -> Ceiling:
    named, choices = pool.replace("_", "-"), overlap.NUM_LABELS
    value = overlap.word_overlap(pool, descriptions, _DRAWS, seed)
    return Ceiling(
        f"intent ({named})",
        "words shared with name" + (" and description" if descriptions else ""),
        "accuracy",
        value,
        *_wilson(value, _DRAWS),
        chance=1 / choices,
        majority=None,
        limit=_OVERLAP_LIMITS[descriptions],
        clips=_DRAWS,
        how=f"drawn sentences, not clips, of {named} intents, {choices} to choose from",
    )


def _wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share of `count` independent draws; wide enough where ties count in
    parts.
    """
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)
