"""A corpus: named splits of utterances and their label sets. It knows nothing of tasks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from speechverse.data.jsonl import read_jsonl
from speechverse.data.labels import (
    INVENTORY_FIELDS,
    as_label_sets,
    collect_labels,
    gather_names,
)
from speechverse.data.manifest import read_json, read_manifest, write_manifest
from speechverse.data.more_labels import MoreLabels
from speechverse.errors import CorpusError, unknown_name
from speechverse.files import write_text
from speechverse.seeding import hash_seed
from speechverse.tally import MAX_BAD_SHARE
from speechverse.tasks import LabelSet
from speechverse.types import Utterance

FORMAT = 1
DESCRIPTION = "corpus.json"
Load = Callable[[], list[Utterance]]


@dataclass
class Corpus:
    """Splits of utterances, read when first asked for, with the label sets they draw from.

    Attributes:
        labels: Label sets by field (`intent`, `slots`, `accent`, ...).
        description: What `corpus.json` says, for a corpus in a folder.
        skipped: Clips that could not be used: split, then id to reason.
    """

    name: str
    labels: Mapping[str, LabelSet]
    description: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    _sources: dict[str, Load | list[Utterance]] = field(default_factory=dict, repr=False)
    _own_labels: dict[str, LabelSet] = field(default_factory=dict, init=False, repr=False)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._sources)

    def utterances(self, split: str) -> list[Utterance]:
        """Every utterance of a split, in the manifest's order; read once, then kept.

        Raises:
            CorpusError: If there is no such split, or its manifest is broken.
        """
        if split not in self._sources:
            raise CorpusError(
                f"corpus '{self.name}': {unknown_name('split', split, self._sources)}"
            )
        source = self._sources[split]
        if callable(source):
            source = self._sources[split] = source()
        return source

    def labels_with(self, fields: Iterable[str]) -> Mapping[str, LabelSet]:
        """The label sets, and those of fields of the user's own: the names that the utterances of
        all splits use.
        """
        own = {name for name in fields if name not in self.labels} - {*INVENTORY_FIELDS}
        if new := own - self._own_labels.keys():
            clips = (clip for split in self._sources for clip in self.utterances(split))
            used = ((clip.labels, clip.place) for clip in clips)
            self._own_labels |= gather_names(used, sorted(new))
        found = {name: labels for name, labels in self._own_labels.items() if name in own}
        return {**self.labels, **found}

    def keywords(self, split: str) -> tuple[str, ...]:
        """Every key word of every utterance, as often as it occurs."""
        return tuple(
            word
            for utterance in self.utterances(split)
            for word in utterance.labels.get("keywords", ())
        )

    def texts(self, split: str) -> tuple[str, ...]:
        """What is said in every utterance in which something is."""
        return tuple(utterance.text for utterance in self.utterances(split) if utterance.text)

    def with_validation(
        self,
        share: float,
        *,
        split: str = "train",
        seed: int = 0,
        by: Literal["utterance", "speaker"] = "utterance",
    ) -> Corpus:
        """This corpus with a part of one split taken out as the split `validation`.

        A hash of the id (or of the speaker, where known) decides, so an utterance keeps its side
        when the corpus grows; those of one sound, or one speaker, are on one side.

        Raises:
            CorpusError: If one side would be empty, there is a split `validation` already, or
                nobody's speaker is known.
        """
        if "validation" in self._sources:
            raise CorpusError(
                f"corpus '{self.name}' has a split 'validation' already; ask for that one"
            )
        utterances = self.utterances(split)
        held_out = _held_out(utterances, share, seed, by)
        if not held_out or len(held_out) == len(utterances):
            raise CorpusError(
                f"corpus '{self.name}': a validation share of {share:g} by {by} leaves nothing on"
                f" one side of split '{split}' ({len(utterances)} utterances); choose another share"
                " (0 to 1), or divide by utterance (speakers who are heard together, directly or"
                " through others, stay together)"
            )
        sources: dict[str, Load | list[Utterance]] = dict(self._sources)
        sources[split] = [utterance for utterance in utterances if utterance.id not in held_out]
        sources["validation"] = [utterance for utterance in utterances if utterance.id in held_out]
        return replace(self, _sources=sources)

    def with_labels(self, path: Path) -> Corpus:
        """This corpus with the labels that a JSONL file has for its ids or texts.

        Raises:
            CorpusError: If a line is wrong or contradicts a label, or none is for any utterance.
        """
        joined = MoreLabels.read(path, self.labels)
        found = {split: self.utterances(split) for split in self._sources}
        joined.check_ids(
            self.name, [[utterance.id for utterance in utterances] for utterances in found.values()]
        )
        joined.warn_of_unused(
            [utterance for utterances in found.values() for utterance in utterances], self.name
        )
        sources: dict[str, Load | list[Utterance]] = {
            split: joined.to(found[split]) for split in found
        }
        return replace(self, labels={**joined.names, **self.labels}, _sources=sources)

    def only(self, split: str, keep: Callable[[Utterance], bool]) -> Corpus:
        """This corpus with some utterances of one split."""
        kept = [utterance for utterance in self.utterances(split) if keep(utterance)]
        return replace(self, _sources=self._sources | {split: kept})

    def changed(self, change: Callable[[list[Utterance]], list[Utterance]]) -> Corpus:
        """This corpus with the utterances of each split changed when they are first asked for."""

        def of(split: str) -> Load:
            return lambda: change(self.utterances(split))

        return replace(self, _sources={split: of(split) for split in self._sources})

    def trained_on(self, other: Corpus) -> Corpus:
        """This corpus with another's split `train`, to fit specialists and classifiers on.

        Raises:
            CorpusError: If the other has no such split.
        """
        if "train" not in other.splits:
            raise CorpusError(
                f"corpus '{other.name}' has no split 'train' to fit on, only"
                f" {', '.join(other.splits)}"
            )
        sources = self._sources | {"train": lambda: other.utterances("train")}
        return replace(self, _sources=sources)

    @classmethod
    def open(cls, folder: str | Path, *, missing_too: bool = False) -> Corpus:
        """Opens a folder of lhotse cuts beside a `corpus.json`, as `write_corpus` makes it.

        Args:
            missing_too: Whether utterances whose audio is missing are read, not refused.

        Raises:
            CorpusError: If the folder is not a whole corpus of a format this version reads.
        """
        folder = Path(folder).absolute()
        description = read_json(folder / DESCRIPTION)
        if description.get("format") != FORMAT:
            raise CorpusError(
                f"{folder} has corpus format {description.get('format')}; this version reads"
                f" {FORMAT}"
            )
        try:
            name = description["name"]
            labels = as_label_sets(description["labels"], str(folder / DESCRIPTION))
            sources: dict[str, Load | list[Utterance]] = {
                split: _loader(folder, split, about, missing_too)
                for split, about in description["splits"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CorpusError(f"{folder / DESCRIPTION} lacks or misstates {error}") from error
        return cls(name, labels, description, {}, sources)

    @classmethod
    def from_jsonl(
        cls,
        name: str,
        paths: Mapping[str, str | Path],
        labels: Mapping[str, Any] | None = None,
        *,
        max_bad_share: float = MAX_BAD_SHARE,
        missing_too: bool = False,
    ) -> Corpus:
        """A corpus of plain JSONL files, one a split, read at once; no audio is copied.

        Args:
            labels: Label sets that lines must keep to; gathered from all splits if None.
            max_bad_share: The share of unreadable clips a file may have.
            missing_too: Whether a clip whose file is missing counts among these, not as a wrong
                line.

        Raises:
            CorpusError: With file and line, for a wrong line, a missing file or an unknown label.
        """
        given = as_label_sets(labels or {}, f"the labels given for corpus '{name}'")
        read = {
            split: read_jsonl(Path(path), given, max_bad_share, missing_too=missing_too)
            for split, path in paths.items()
        }
        everyone = [utterance for utterances, _ in read.values() for utterance in utterances]
        return cls(
            name,
            {**collect_labels(everyone), **given},
            {"source": {split: str(path) for split, path in paths.items()}},
            {split: skipped for split, (_, skipped) in read.items() if skipped},
            {split: utterances for split, (utterances, _) in read.items()},
        )


def write_corpus(
    folder: str | Path,
    name: str,
    splits: Mapping[str, Iterable[Utterance]],
    labels: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Corpus:
    """Writes a corpus folder: a manifest of lhotse cuts a split, then `corpus.json`.

    Args:
        folder: Audio inside it is named relative to it, so that it can be moved.
        labels: Label sets by field; gathered from the utterances if None.
        extra: Further entries of `corpus.json`, such as `seed`, `source` and `counts`.

    Raises:
        CorpusError: If an id occurs twice, or a split's name is no plain word.
        AudioError: If an utterance's audio cannot be read.
    """
    folder = Path(folder).absolute()
    if wrong := [split for split in splits if not re.fullmatch(r"[a-z0-9_-]+", split)]:
        raise CorpusError(f"split '{wrong[0]}': use lower-case letters, digits, '-' and '_'")
    listed = {split: list(utterances) for split, utterances in splits.items()}
    everyone = [utterance for some in listed.values() for utterance in some]
    seen = set[str]()
    for utterance in everyone:
        if utterance.id in seen:
            raise CorpusError(
                f"the id '{utterance.id}' occurs twice; ids are unique within a corpus"
            )
        seen.add(utterance.id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION).unlink(missing_ok=True)
    about = {
        split: write_manifest(folder / f"{split}.jsonl.gz", utterances, folder)
        for split, utterances in listed.items()
    }
    given = f"the labels given for corpus '{name}'"
    sets = collect_labels(everyone) if labels is None else as_label_sets(labels, given)
    described = {field: dict(known.descriptions) for field, known in sets.items()}
    description = {
        "name": name,
        "format": FORMAT,
        "splits": about,
        "labels": described,
        **(extra or {}),
    }
    write_text(folder / DESCRIPTION, json.dumps(description, indent=2, ensure_ascii=False) + "\n")
    return Corpus.open(folder)


def _loader(folder: Path, split: str, about: Mapping[str, Any], missing_too: bool) -> Load:
    file, sha256 = folder / f"{split}.jsonl.gz", about.get("manifest_sha256")
    return lambda: list(read_manifest(file, folder, sha256, missing_too=missing_too))


def _company(utterances: Iterable[Utterance]) -> dict[str, str]:
    """Of each speaker a name for all who are heard together, directly or through others."""
    heard_with: dict[str, set[str]] = {}
    for utterance in utterances:
        for speaker in utterance.speakers:
            heard_with.setdefault(speaker, set()).update(utterance.speakers)
    named: dict[str, str] = {}
    for first in sorted(heard_with):
        waiting = [] if first in named else [first]
        while waiting:
            speaker = waiting.pop()
            if speaker not in named:
                named[speaker] = first
                waiting += heard_with[speaker]
    return named


def _heard_alike(utterances: list[Utterance]) -> Iterator[str]:
    """Of each utterance the first id that its sound is known by: a clip may be in several lines."""
    first: dict[object, str] = {}
    for utterance in utterances:
        sound = tuple(clip.audio for clip in utterance.clips)
        yield first.setdefault(sound, utterance.id)


def _held_out(utterances: list[Utterance], share: float, seed: int, by: str) -> set[str]:
    """Ids whose group's hash falls under the share; the group of the lowest hash if none does."""
    if not 0 < share < 1:
        return set()
    company = _company(utterances) if by == "speaker" else {}
    if by == "speaker" and not company:
        raise CorpusError(
            "no utterance has a speaker, so none can be held out by speaker: name them ('speaker'"
            " of a line), or divide by utterance"
        )
    groups: dict[str, list[str]] = {}
    for utterance, alike in zip(utterances, _heard_alike(utterances), strict=True):
        spoken = company and utterance.speakers
        key = company[utterance.speakers[0]] if spoken else alike
        groups.setdefault(key, []).append(utterance.id)
    places = {key: hash_seed(seed, "validation", key) / 2**64 for key in groups}
    lowest = min(places, key=places.__getitem__, default=None)
    chosen = (names for key, names in groups.items() if places[key] < share or key == lowest)
    return {name for names in chosen for name in names}
