"""Shortcut ceilings: how well a label can be guessed from what should not tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from speechverse.errors import MissingExtraError
from speechverse.evaluation.folds import NUM_FOLDS, speaker_folds
from speechverse.metrics import bootstrap
from speechverse.world.card.facts import TRAIN, words_of
from speechverse.world.card.fields import shown
from speechverse.world.card.hearing import Heard

if TYPE_CHECKING:
    from speechverse.evaluation.clips import Watch

NEAR_CHANCE = 0.10
"""How far above chance still counts as near it."""

_TESTED_ON = ("dev", "validation", "test")
_FEWEST = 10  # clips to test on; below it a number says nothing


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How well one shortcut does."""

    label: str  # what is guessed
    shortcut: str  # what it is guessed from
    measure: str  # "UAR" or "accuracy"
    value: float  # from 0 to 1; low is good
    low: float  # lower end of the 95 % interval
    high: float  # upper end of it
    chance: float  # of guessing without looking
    # Accuracy of always naming the commonest class; None where there is none.
    majority: float | None
    limit: float | None  # the value must not be above it; None where it is only reported
    clips: int  # tested on
    how: str  # where it was fitted and tested

    @property
    def met(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        return None if self.limit is None else round(self.value, 3) <= round(self.limit, 3)


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A label, what it must not be guessed from, and how well at most."""

    label: str  # field
    cue: str  # "mean log-mels", "duration" or "words"
    # Highest UAR; None is only reported, unless it is to stay near chance.
    limit: float | None = None
    near_chance: bool = False  # whether the limit is `NEAR_CHANCE` above chance


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


def shortcut_ceilings(heard: Mapping[str, Sequence[Heard]], seed: int, watch: Watch) -> tuple[list[Ceiling], list[str]]:
    """Fits every shortcut whose label the corpus has.

    Args:
        heard: Clips by split.
        seed: Of the bootstrap and of the folds.
        watch: Told of every shortcut.

    Returns:
        The ceilings, and why others are missing.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    ceilings, notes = [], []
    for number, shortcut in enumerate(SHORTCUTS):
        watch(number, len(SHORTCUTS), "fitting shortcuts")
        known = {
            split: [clip for clip in clips if _label(clip, shortcut) is not None] for split, clips in heard.items()
        }
        known = {split: clips for split, clips in known.items() if clips}
        if not known:
            continue
        parts, how = _parts(known, seed)
        ceiling = _ceiling(shortcut, parts, how, seed)
        if isinstance(ceiling, str):
            notes.append(f"{shortcut.label} from {shortcut.cue} is not measured: {ceiling}")
        else:
            ceilings.append(ceiling)
    return ceilings, notes


def _label(clip: Heard, shortcut: Shortcut) -> str | None:
    value = clip.utterance.labels.get(shortcut.label)
    if value is None or (shortcut.cue == "words" and not clip.utterance.text):
        return None
    return shown(value)


_Part = tuple[Sequence[Heard], Sequence[Heard]]


def _parts(known: Mapping[str, Sequence[Heard]], seed: int) -> tuple[list[_Part], str]:
    """What is fitted on and what tested on, once or fold by fold."""
    others = [split for split in known if split != TRAIN]
    if TRAIN in known and others:
        tested = next((split for split in _TESTED_ON if split in others), others[0])
        return [(known[TRAIN], known[tested])], f"fitted on {TRAIN} ({len(known[TRAIN])} clips), tested on {tested}"
    clips = [clip for split in known.values() for clip in split]
    folds = speaker_folds([clip.utterance for clip in clips], seed)
    parts: list[_Part] = [([clips[row] for row in fitted], [clips[row] for row in tested]) for fitted, tested in folds]
    return parts, f"{NUM_FOLDS} groups of speakers, apart"


def _ceiling(shortcut: Shortcut, parts: Sequence[_Part], how: str, seed: int) -> Ceiling | str:
    """The ceiling, or why there is none."""
    guesses: list[str] = []
    truth: list[str] = []
    for fitted, tested in parts:
        labels = [_label(clip, shortcut) or "" for clip in fitted]
        if len(set(labels)) < 2:
            continue
        model = _model(shortcut.cue).fit(_cues(shortcut.cue, fitted), labels)
        guesses += list(model.predict(_cues(shortcut.cue, tested)))
        truth += [_label(clip, shortcut) or "" for clip in tested]
    classes = len(set(truth))
    if len(truth) < _FEWEST or classes < 2:
        return f"{len(truth)} clips of {classes} classes to test on are too few"
    value, low, high = bootstrap("uar", guesses, truth, seed=seed)
    chance = 1 / classes
    limit = chance + NEAR_CHANCE if shortcut.near_chance else shortcut.limit
    majority = max(truth.count(name) for name in set(truth)) / len(truth)
    return Ceiling(shortcut.label, shortcut.cue, "UAR", value, low, high, chance, majority, limit, len(truth), how)


def _cues(cue: str, clips: Sequence[Heard]) -> Any:
    if cue == "words":
        return [clip.utterance.text or "" for clip in clips]
    if cue == "duration":
        seconds = np.array([clip.utterance.duration for clip in clips])
        return np.column_stack([seconds, seconds**2])  # so that "neither short nor long" can be learned too
    return np.stack([clip.mels for clip in clips])


def _model(cue: str) -> Any:
    """Logistic regression that counts every class alike, as UAR does."""
    try:
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ModuleNotFoundError as error:
        raise MissingExtraError("measuring shortcuts", "eval") from error
    first = CountVectorizer(binary=True, analyzer=_words_and_one) if cue == "words" else StandardScaler()
    return make_pipeline(first, LogisticRegression(class_weight="balanced", max_iter=2000))


def _words_and_one(text: str) -> list[str]:
    """The words, and one that every text has: scikit-learn refuses an empty vocabulary."""
    return ["<any>", *words_of(text)]
