"""The plain JSONL corpus: one object a line, with `audio`, `text` and any labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from speechverse.audio import duration_of
from speechverse.data.labels import check_names, normalise_labels
from speechverse.data.lines import Lines
from speechverse.errors import AudioError, CorpusError
from speechverse.tally import leave_out, refuse_too_many
from speechverse.tasks import LabelSet
from speechverse.types import AudioRef, Origin, Seconds, Utterance

OWN_KEYS = ("audio", "id", "start", "duration", "text", "speaker", "language")
_SLACK: Seconds = 0.05
"""How far a part may reach over its file's end: annotations are rounded."""


class NoSuchFileError(ValueError):
    """A line tells of a file that is not there."""


class NoSuchPartError(ValueError):
    """A line tells of a part that its file does not have."""


def read_jsonl(
    path: Path,
    labels: Mapping[str, LabelSet],
    max_bad_share: float,
    *,
    missing_too: bool = False,
) -> tuple[list[Utterance], dict[str, str]]:
    """The utterances of one file, and the clips that cannot be used, id to reason; with
    `missing_too` those whose file is missing are among them.

    Raises:
        CorpusError: If a line is wrong (with its number), or too many clips are bad.
    """
    lines = Lines.read(path)
    ids = _Ids({str(entry["id"]) for _, entry in lines.objects if entry.get("id") is not None})
    read: dict[str, Utterance | AudioError] = {}

    def use(number: int, entry: dict[str, Any]) -> None:
        rows = _clips(entry)
        audio = _check_type(rows[0], "audio", str)
        if not audio or not Path(audio).name:
            raise ValueError("has no 'audio', the path of the sound file")
        name, origin = ids.of(rows[0], audio), Origin(path, number)
        try:
            first, *others = (
                to_utterance(
                    f"{name}+{place}" if place else name,
                    row,
                    path.parent / row["audio"],
                    labels,
                    origin,
                )
                for place, row in enumerate(rows)
            )
            read[name] = replace(first, beside=tuple(others))
        except NoSuchFileError as error:
            if not missing_too:
                raise
            read[name] = AudioError(str(error))
        except AudioError as error:
            read[name] = error

    lines.each(use)
    if len(lines.faults) == 1:
        raise CorpusError(f"{path} line {lines.faults[0][0]}: {lines.faults[0][1]}")
    if lines.faults:
        raise lines.refusal("are wrong")
    utterances = [found for found in read.values() if isinstance(found, Utterance)]
    skipped = {name: str(found) for name, found in read.items() if isinstance(found, AudioError)}
    if not read:
        raise CorpusError(f"{path} holds no utterances")
    refuse_too_many(skipped, len(read), max_bad_share, str(path))
    leave_out(skipped, len(read), str(path))
    return utterances, skipped


def _clips(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """A line for each of a line's clips, for `audio` may be a list; the first has the labels, and
    `text` is a list, too.

    Raises:
        ValueError: If its texts are not as many, or it says which part of a file is meant.
    """
    files = entry.get("audio")
    if not isinstance(files, list):
        return [entry]
    if len(files) < 2 or not all(isinstance(one, str) and Path(one).name for one in files):
        raise ValueError(f"'audio' should be a path, or a list of two or more, not {files!r}")
    if given := [key for key in ("start", "duration") if entry.get(key) is not None]:
        raise ValueError(f"has several clips, which are whole files: leave out {given[0]!r}")
    texts = entry.get("text") or [None] * len(files)
    if not isinstance(texts, list) or len(texts) != len(files):
        raise ValueError(f"'text' should be a list with a text for each of the {len(files)} clips")
    rows = [{"audio": file, "text": text} for file, text in zip(files, texts, strict=True)]
    return [entry | rows[0], *rows[1:]]


def to_utterance(
    name: str,
    entry: Mapping[str, Any],
    path: Path,
    labels: Mapping[str, LabelSet],
    origin: Origin | None = None,
) -> Utterance:
    """What a line with the keys of docs/data.md tells of a file.

    Raises:
        ValueError: If the line is wrong, or the file is missing (NoSuchFileError) or too short
            (NoSuchPartError).
        AudioError: If the clip cannot be used.
    """
    found = normalise_labels({key: value for key, value in entry.items() if key not in OWN_KEYS})
    check_names(found, labels)
    start, duration = (_seconds(entry, key) for key in ("start", "duration"))
    said = {key: _check_type(entry, key, str) for key in ("text", "speaker", "language")}
    _check_there(path)
    ref, duration = _part(start or 0.0, duration, path, duration_of(path))
    return Utterance(name, ref, duration, labels=found, origin=origin, **said)


def _check_there(path: Path) -> None:
    try:
        there = path.is_file()
    except OSError as error:  # a name longer than the system takes, a folder that is not ours
        raise ValueError(f"the audio file {path} cannot be opened: {error.strerror}") from None
    if not there:
        raise NoSuchFileError(
            f"the audio file {path} is missing (paths are relative to the JSONL's folder)"
        )


def _check_type(entry: Mapping[str, Any], key: str, kind: type) -> Any:
    value = entry.get(key)
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"'{key}' should be a {kind.__name__}, not {value!r}")
    return value


@dataclass
class _Ids:
    """Ids of a file's lines: those given must be new, those made up avoid them."""

    given: Set[str]
    used: set[str] = field(default_factory=set)
    numbers: Counter[str] = field(default_factory=Counter)

    def of(self, entry: dict, audio: str) -> str:
        """The line's own id; else one made of the audio's path and start, numbered if taken."""
        own, start = entry.get("id"), entry.get("start") or 0
        if own is not None and (
            isinstance(own, bool) or not isinstance(own, str | int) or not str(own).strip()
        ):
            raise ValueError(f"'id' should be a name or a whole number, not {own!r}")
        made_up = Path(audio).with_suffix("").as_posix() + (f"@{start}" if start else "")
        name = unique = made_up if own is None else str(own)
        if own is not None and name in self.used:
            raise ValueError(f"the id '{name}' occurs twice")
        while own is None and (unique in self.used or unique in self.given):
            self.numbers[name] = max(1, self.numbers[name]) + 1
            unique = f"{name}#{self.numbers[name]}"
        self.used.add(unique)
        return unique


def _part(
    begin: Seconds, duration: Seconds | None, path: Path, length: Seconds
) -> tuple[AudioRef, Seconds]:
    if duration == 0 or begin >= length or begin + (duration or 0.0) > length + _SLACK:
        raise NoSuchPartError(
            f"start {begin:g} s and duration {duration} do not fit the {length:.2f} s of {path}"
        )
    if duration is None:
        return AudioRef(path, begin), length - begin
    return AudioRef(path, begin, min(duration, length - begin)), min(duration, length - begin)


def _seconds(entry: Mapping[str, Any], key: str) -> Seconds | None:
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"'{key}' should be seconds, 0 or more, not {value!r}")
    return float(value)
