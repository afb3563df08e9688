"""Test sets: the corpora that findings ask, under the names that they ask them by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from speechverse.config import Config
from speechverse.data import Corpus
from speechverse.data.labels import as_label_sets
from speechverse.errors import CorpusError, RecipeError
from speechverse.evaluation.provenance import describe_split
from speechverse.seeding import fingerprint
from speechverse.types import Utterance
from speechverse.yaml_files import read_yaml

SPLIT = "test"
"""The one split of a test set that is asked."""

_YAML = (".yaml", ".yml")
SUFFIXES = (".jsonl", *_YAML)
"""Of test sets that are files."""


class Member(Config):
    """One of several corpora that are a test set together."""

    path: str
    """A corpus folder or a JSONL file; from the folder that the command runs in, as in recipes."""
    split: str = SPLIT
    """Which split of a corpus folder."""


def open_test_set(path: Path) -> Corpus:
    """A corpus folder, a JSONL file, or a YAML file of several: names and where each is.

    Raises:
        CorpusError: If it cannot be read, or one of several lacks its split.
    """
    if path.is_dir():
        return Corpus.open(path)
    if path.suffix not in _YAML:
        return Corpus.from_jsonl(path.stem, {SPLIT: path})
    return _together(path.stem, _members(path))


def fingerprint_of(path: Path) -> str:
    """Of a JSONL file, of what describes a corpus folder, or of all of several."""
    if path.suffix in _YAML:
        members = _members(path).items()
        told = (f"{name} {one.split} {fingerprint_of(Path(one.path))} " for name, one in members)
        return fingerprint(*told)
    file = path / "corpus.json" if path.is_dir() else path
    return fingerprint(file.read_bytes())


def _members(path: Path) -> dict[str, Member]:
    try:
        values = read_yaml(path)
    except (OSError, ValueError) as error:
        raise CorpusError(f"test set '{path}' cannot be read: {error}") from error
    if not isinstance(values, dict) or not all(isinstance(one, dict) for one in values.values()):
        raise CorpusError(f"test set '{path}' does not name corpora: {_EXAMPLE}")
    try:
        members = {name: Member.of(given) for name, given in values.items()}
    except RecipeError as error:
        raise CorpusError(f"test set '{path}': {error} ({_EXAMPLE})") from None
    if not members:
        raise CorpusError(f"test set '{path}' names no corpus: {_EXAMPLE}")
    for name, member in members.items():
        place = Path(member.path)
        if place.is_file() and "split" in member.model_fields_set:
            raise CorpusError(f"test set '{path}': '{place}' is one file and has no splits")
        if not place.exists() or place.suffix in _YAML:
            what = "is no corpus" if place.exists() else "is not there"
            raise CorpusError(f"test set '{path}': '{place}' ({name}) {what}: {_EXAMPLE}")
    return members


_EXAMPLE = "write a line for each, such as `librispeech: {path: corpora/librispeech, split: test}`"


def _together(name: str, members: dict[str, Member]) -> Corpus:
    """Several corpora as one: ids begin with the name of theirs, which is their stratum, too."""
    labels: dict[str, dict[str, str]] = {}
    clips, skipped, stands_on = list[Utterance](), dict[str, str](), list[str]()
    for which, member in members.items():
        place = Path(member.path)
        one = open_test_set(place)
        split = member.split if place.is_dir() else SPLIT
        stands_on.append(str(describe_split(one, split)["manifest_sha256"]))
        for field, known in one.labels.items():
            told = labels.setdefault(field, {})
            told |= {
                label: text or told.get(label, "") for label, text in known.descriptions.items()
            }
        for clip in one.utterances(split):
            first, *beside = (replace(one, id=f"{which}/{one.id}") for one in clip.clips)
            known_as = {"stratum": which, **clip.labels}
            clips.append(replace(first, labels=known_as, beside=tuple(beside)))
        skipped |= {f"{which}/{clip}": why for clip, why in one.skipped.get(split, {}).items()}
    return Corpus(
        name,
        as_label_sets(labels, f"the corpora of test set '{name}'"),
        {"splits": {SPLIT: {"manifest_sha256": fingerprint(*stands_on)}}},
        {SPLIT: skipped} if skipped else {},
        {SPLIT: clips},
    )
