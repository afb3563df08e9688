"""Leakage checks: how well a label can be guessed from what should not tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from speechverse.audio import load
from speechverse.audio.waveform import active_level_db
from speechverse.corpora.counts import TRAIN, Splits, as_text, words_of
from speechverse.errors import AudioError, needs_extra
from speechverse.evaluation.folds import NUM_FOLDS, speaker_folds
from speechverse.evaluation.linear import fit_linear
from speechverse.evaluation.log_mels import mean_log_mels
from speechverse.metrics import bootstrap
from speechverse.seeding import rng_for
from speechverse.types import Utterance

if TYPE_CHECKING:
    from speechverse.progress import Watch

NEAR_CHANCE = 0.10
"""How far above chance still counts as near it."""

_TESTED_ON = ("dev", "validation", "test")
_FEWEST = 10  # clips to test on; below it a number says nothing


class Shortcut(NamedTuple):
    """A label, what it must not be guessed from, and how well at most."""

    label: str
    cue: str  # "mean log-mels", "duration" or "words"
    limit: float | None = None  # highest UAR; None where it is only reported
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


@dataclass(frozen=True, slots=True)
class LeakageCheck:
    """How well one label is guessed from one cue: UAR with its 95 % interval; low is good."""

    label: str
    cue: str
    uar: float
    low: float
    high: float
    chance: float
    majority: float  # accuracy of always naming the commonest class
    limit: float | None
    clips: int  # tested on
    how: str  # where it was fitted and tested

    @property
    def passed(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        return None if self.limit is None else round(self.uar, 3) <= round(self.limit, 3)


class MeasuredClip(NamedTuple):
    """What is measured of one clip's sound."""

    utterance: Utterance
    level: float  # of its sounding parts, in dB below full scale
    mels: np.ndarray  # (80,) time means of its log-mels


Clips = Sequence[MeasuredClip]


def measure_clips(
    splits: Splits, num_clips: int, seed: int, watch: Watch
) -> tuple[dict[str, list[MeasuredClip]], dict[str, str]]:
    """Decodes at most `num_clips` clips of every split, drawn by `seed`.

    Returns:
        Split → clips in the manifest's order, and of those that cannot be read, id → reason.
    """
    measured: dict[str, list[MeasuredClip]] = {split: [] for split in splits}
    unreadable: dict[str, str] = {}
    drawn = [
        (split, utterances[row])
        for split, utterances in splits.items()
        for row in _draw_rows(len(utterances), num_clips, seed, split)
    ]
    advance = watch("listening", len(drawn))
    for split, utterance in drawn:
        try:
            sound = load(utterance.audio).samples
        except AudioError as error:
            unreadable[utterance.id] = str(error)
        else:
            clip = MeasuredClip(utterance, active_level_db(sound), mean_log_mels(sound))
            measured[split].append(clip)
        advance(1)
    return measured, unreadable


def _draw_rows(count: int, at_most: int, seed: int, split: str) -> list[int]:
    return sorted(rng_for(seed, "card", split).sample(range(count), min(count, at_most)))


def check_leakage(
    measured: Mapping[str, Clips], seed: int, watch: Watch
) -> tuple[list[LeakageCheck], list[str]]:
    """Fits every shortcut whose label the corpus has; gives the checks, and why others are not."""
    checks, notes = [], []
    advance = watch("fitting shortcuts", len(SHORTCUTS))
    for shortcut in SHORTCUTS:
        labelled = {
            split: some
            for split, clips in measured.items()
            if (some := [clip for clip in clips if _label(clip, shortcut)])
        }
        found = _check(shortcut, labelled, seed) if labelled else None
        advance(1)
        if isinstance(found, str):
            notes.append(f"{shortcut.label} from {shortcut.cue} is not measured: {found}")
        elif found:
            checks.append(found)
    return checks, notes


def _label(clip: MeasuredClip, shortcut: Shortcut) -> str:
    """What is to be guessed; "" where the clip cannot be used."""
    value = clip.utterance.labels.get(shortcut.label)
    is_wordless = shortcut.cue == "words" and not clip.utterance.text
    return "" if value is None or is_wordless else as_text(value)


def _check(shortcut: Shortcut, labelled: Mapping[str, Clips], seed: int) -> LeakageCheck | str:
    """The check, or why there is none."""
    parts, how = _parts(labelled, seed)
    guesses: list[str] = []
    truth: list[str] = []
    for fitted, tested in parts:
        labels = [_label(clip, shortcut) for clip in fitted]
        if len(set(labels)) > 1:
            model = _fit(shortcut.cue, fitted, labels)
            guesses += list(model.predict(_features(shortcut.cue, tested)))
            truth += [_label(clip, shortcut) for clip in tested]
    classes = set(truth)
    if len(truth) < _FEWEST or len(classes) < 2:
        return f"{len(truth)} clips of {len(classes)} classes to test on are too few"
    return LeakageCheck(
        shortcut.label,
        shortcut.cue,
        *bootstrap("uar", guesses, truth, seed=seed),
        chance=1 / len(classes),
        majority=max(map(truth.count, classes)) / len(truth),
        limit=1 / len(classes) + NEAR_CHANCE if shortcut.near_chance else shortcut.limit,
        clips=len(truth),
        how=how,
    )


def _parts(labelled: Mapping[str, Clips], seed: int) -> tuple[list[tuple[Clips, Clips]], str]:
    """What is fitted on and what tested on, once or fold by fold; and that in words."""
    others = [split for split in labelled if split != TRAIN]
    if TRAIN in labelled and others:
        tested = next((split for split in _TESTED_ON if split in others), others[0])
        how = f"fitted on {TRAIN} ({len(labelled[TRAIN])} clips), tested on {tested}"
        return [(labelled[TRAIN], labelled[tested])], how
    clips = [clip for split in labelled.values() for clip in split]
    folds = speaker_folds([clip.utterance for clip in clips], seed)
    parts: list[tuple[Clips, Clips]] = [
        ([clips[i] for i in fitted], [clips[i] for i in tested]) for fitted, tested in folds
    ]
    return parts, f"{NUM_FOLDS} groups of speakers, apart"


def _features(cue: str, clips: Clips) -> Any:
    if cue == "words":
        return [clip.utterance.text or "" for clip in clips]
    if cue == "duration":
        seconds = np.array([clip.utterance.duration for clip in clips])
        # The square lets "neither short nor long" be learned too.
        return np.column_stack([seconds, seconds**2])
    return np.stack([clip.mels for clip in clips])


def _fit(cue: str, clips: Clips, labels: Sequence[str]) -> Any:
    vectorizer = None
    if cue == "words":
        with needs_extra("measuring shortcuts", "eval"):
            from sklearn.feature_extraction.text import CountVectorizer
        # A word that every text has: scikit-learn refuses an empty vocabulary.
        vectorizer = CountVectorizer(binary=True, analyzer=lambda text: ["<any>", *words_of(text)])
    return fit_linear(_features(cue, clips), labels, penalty=1 / len(labels), first=vectorizer)
