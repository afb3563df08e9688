"""Whether a corpus is fit to be used: every clip is listened to, and its splits are compared."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np

from speechverse.audio import extent_of, is_silent, load
from speechverse.audio.waveform import active_level_db
from speechverse.corpora import counts
from speechverse.data import Corpus
from speechverse.errors import AudioError, CorpusError
from speechverse.progress import Watch, watch_nothing
from speechverse.seeding import fingerprint, rng_for
from speechverse.types import Seconds, Utterance

FULL_SCALE = 0.99
CLIPPED_SHARE = 0.001
"""A clip is clipped where more than a thousandth of its samples stand at full scale, three or more
of them in a row.
"""
SHOWN = 20
"""Clips named of those that cannot be read, before a count; the page and `--json` name all."""
LONG: Seconds = 30.0
"""What whisper-base hears at once; longer clips are refused or left out there."""


class Heard(NamedTuple):
    """What is measured of one clip."""

    utterance: Utterance
    split: str
    rate: int
    level: float  # of its sounding parts, in dB below full scale
    silent: bool
    clipped: bool
    sound: str  # the same for the same samples


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes:
        rates: Sampling rates in Hz, with how many clips have each.
        findings: By name, clips to look at; of `unreadable` with the reason.
        levels: By split, in dB below full scale.
        listened: How many clips were listened to.
    """

    name: str
    splits: Mapping[str, counts.SplitSizes]
    fields: Sequence[counts.FieldCounts]
    overlaps: Sequence[counts.Overlap]
    durations: Mapping[str, Sequence[Seconds]]
    levels: Mapping[str, Sequence[float]]
    rates: Mapping[int, int]
    unreadable: Mapping[str, str]
    findings: Mapping[str, Sequence[Utterance]]
    duplicates: Sequence[Sequence[Utterance]]
    leaked: Sequence[Sequence[str]]
    listened: int
    allowed: frozenset[str] = field(default_factory=frozenset)

    @property
    def faults(self) -> list[str]:
        """What makes the corpus unfit, a sentence each."""
        told = counts.common_faults(self.unreadable, self.overlaps, self.allowed)
        if self.leaked and "sounds" not in self.allowed:
            such = " = ".join(self.leaked[0])
            told.append(f"sounds in two splits: {len(self.leaked)}, such as {such}")
        return told

    @property
    def praise(self) -> str:
        """What is told of a corpus without faults: of what was listened to, where not to all."""
        total = sum(sizes.clips for sizes in self.splits.values())
        if self.listened < total:
            some = f"of the {self.listened:,} of {total:,} clips listened to"
            return f"{some} none is unreadable, and no sound of them is in two splits"
        return "no clip is unreadable, and splits share nothing"

    @property
    def notes(self) -> list[str]:
        """What is worth a look and makes nothing unfit."""
        told = [f"clips {name}: {len(clips)}" for name, clips in self.findings.items() if clips]
        if self.duplicates:
            many = sum(len(group) - 1 for group in self.duplicates)
            told.append(f"clips exactly like another: {many}")
        if len(self.rates) > 1:
            rates = ", ".join(f"{rate:,} Hz ({n:,})" for rate, n in sorted(self.rates.items()))
            told.append(f"unlike sampling rates: {rates}")
        return told

    def as_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        return {
            "corpus": self.name,
            "splits": {split: asdict(sizes) for split, sizes in self.splits.items()},
            "fields": {one.name: asdict(one) for one in self.fields},
            "overlaps": [asdict(overlap) for overlap in self.overlaps],
            "rates": {str(rate): count for rate, count in sorted(self.rates.items())},
            "unreadable": dict(self.unreadable),
            **{name: [clip.id for clip in clips] for name, clips in self.findings.items()},
            "duplicates": [[clip.id for clip in group] for group in self.duplicates],
            "leaked": [list(group) for group in self.leaked],
            "listened": self.listened,
            "faults": self.faults,
            "notes": self.notes,
        }


def check_corpus(
    corpora: Sequence[Corpus],
    clips: int | None = None,
    allowed: Iterable[str] = (),
    watch: Watch = watch_nothing,
) -> Check:
    """Looks over a corpus, or several as one.

    Args:
        clips: Listens to so many of a split at most, drawn by chance; None to all.
        allowed: What splits may share: `speakers`, `sentences`, `sounds`.

    Raises:
        CorpusError: If there is no clip, or a manifest is broken.
    """
    splits = _splits(corpora)
    heard, unreadable = _listen(splits, clips, watch)
    for corpus in corpora:
        for split, some in corpus.skipped.items():
            for name, reason in some.items():
                _tell(unreadable, name, split, reason)
    by_sound: dict[str, list[Heard]] = {}
    for one in heard:
        by_sound.setdefault(one.sound, []).append(one)
    alike = [group for group in by_sound.values() if len(group) > 1]
    leaked = [group for group in alike if len({one.split for one in group}) > 1]
    fields = counts.find_fields(clip for some in splits.values() for clip in some)
    return Check(
        name=" + ".join(corpus.name for corpus in corpora),
        splits=counts.measure_splits(splits),
        fields=[counts.count_field(one, splits) for one in fields],
        overlaps=counts.find_overlaps(splits),
        durations={
            split: [clip.duration for one in some for clip in one.clips]
            for split, some in splits.items()
        },
        levels=_levels(heard),
        rates=Counter(one.rate for one in heard),
        unreadable=unreadable,
        findings={
            "silent": [one.utterance for one in heard if one.silent],
            "clipped": [one.utterance for one in heard if one.clipped],
            f"longer than {LONG:g} s": [
                clip
                for some in splits.values()
                for one in some
                for clip in one.clips
                if clip.duration > LONG and clip.id not in unreadable
            ],
        },
        duplicates=[[one.utterance for one in group] for group in alike],
        leaked=[[f"{one.split}/{one.utterance.id}" for one in group] for group in leaked],
        listened=len(heard),
        allowed=frozenset(allowed),
    )


def _splits(corpora: Sequence[Corpus]) -> dict[str, list[Utterance]]:
    """Clips by split; a label `split` of a clip says more than the file it stands in."""
    splits: dict[str, list[Utterance]] = {}
    for corpus in corpora:
        for split in corpus.splits:
            for clip in corpus.utterances(split):
                splits.setdefault(str(clip.labels.get("split", split)), []).append(clip)
    if not splits:
        names = ", ".join(f"'{corpus.name}'" for corpus in corpora)
        raise CorpusError(f"{names}: no clips, so there is nothing to check")
    return splits


def _listen(
    splits: counts.Splits, clips: int | None, watch: Watch
) -> tuple[list[Heard], dict[str, str]]:
    unreadable: dict[str, str] = {}
    there: dict[str, list[Utterance]] = {}
    for split, some in splits.items():
        there[split] = []
        for one in some:  # of all, however few are listened to
            gone = [clip for clip in one.clips if not os.path.exists(clip.audio.path)]
            for clip in gone:
                _tell(unreadable, clip.id, split, f"the audio file {clip.audio.path} is missing")
            there[split] += [] if gone else [one]
    drawn = [
        (split, clip)
        for split, some in there.items()
        for row in sorted(
            rng_for(0, "check", split).sample(range(len(some)), min(len(some), clips or len(some)))
        )
        for clip in some[row].clips
    ]
    advance = watch("listening", len(drawn))
    heard = list[Heard]()
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoders let go of the interpreter
        for (split, clip), found in zip(drawn, pool.map(_measure_clip, drawn), strict=True):
            if isinstance(found, str):
                _tell(unreadable, clip.id, split, found)
            else:
                heard.append(found)
            advance(1)
    return heard, unreadable


def _tell(unreadable: dict[str, str], name: str, split: str, reason: str) -> None:
    """By id, which clips of several files may share."""
    unreadable[f"{split}/{name}" if name in unreadable else name] = reason


def _measure_clip(drawn: tuple[str, Utterance]) -> Heard | str:
    """What is heard of a clip, or why it cannot be read."""
    split, clip = drawn
    try:
        waveform, rate = load(clip.audio), extent_of(clip.audio.path).rate
    except AudioError as error:
        return str(error)
    samples = waveform.samples
    sound = fingerprint(np.ascontiguousarray(samples).tobytes())
    level, silent = active_level_db(samples), is_silent(waveform)
    return Heard(clip, split, rate, level, silent, is_clipped(samples), sound)


def is_clipped(samples: np.ndarray) -> bool:
    """Whether too much of (T,) is flat at full scale."""
    full = np.abs(samples) >= FULL_SCALE
    in_a_row = full[:-2] & full[1:-1] & full[2:]
    return bool(np.count_nonzero(in_a_row) > CLIPPED_SHARE * len(samples))


def _levels(heard: Sequence[Heard]) -> dict[str, list[float]]:
    levels: dict[str, list[float]] = {}
    for one in heard:
        if not one.silent:
            levels.setdefault(one.split, []).append(one.level)
    return levels
