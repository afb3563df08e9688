"""Answers to one question about many clips, a JSON line each: what was written before is gone on
from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from speechverse.errors import UserError
from speechverse.files import append_log, disk_full_as_error, locked, make_place, write_text

Line = dict[str, Any]

_FILE = "file"
"""Key of a clip's bytes and the time of its last change, by which another recording under the same
name is known.
"""


@dataclass
class AnswersFile:
    """A file of answers that is added to.

    Attributes:
        path: The file.
        question: What every line's answer depends on besides its clip, as it stands in the line.
        answered: Clips that have an answer.
        outdated: Clips whose answer holds no longer: it is of another recording under that name,
            or was forgotten.
    """

    path: Path
    question: Mapping[str, Any]
    answered: set[Path] = field(default_factory=set)
    outdated: set[Path] = field(default_factory=set)
    _forgotten: set[Path] = field(default_factory=set)
    _failed: set[Path] = field(default_factory=set)
    _is_to_mend: bool = False
    _has_doubles: bool = False

    @classmethod
    @contextmanager
    def opened(
        cls, path: Path, question: Mapping[str, Any], optional: Iterable[str]
    ) -> Iterator[AnswersFile]:
        """Reads what the file holds, and keeps other runs from it within the block.

        Clips that could not be answered are forgotten, to be tried again, and so is half a line
        that a killed run left; those whose file is another by now are outdated. The file stays as
        it is until the first answer is added or the block ends without an error.

        Args:
            question: Plain values by key, in every line.
            optional: Keys of other questions that this one has not.

        Raises:
            UserError: If another run writes there now, it answers another question, or is no such
                file.
        """
        make_place(path)
        busy = UserError(
            f"another run is writing to '{path}' now; wait for it, or name another --output"
        )
        with locked(path.with_name(f".{path.name}.lock"), busy):
            file = cls(path, json.loads(json.dumps(dict(question))))
            file._read({*optional, *file.question})
            yield file
            file._is_to_mend |= file._has_doubles  # once, not behind every answer
            file._mend()

    def _read(self, keys: set[str]) -> None:
        if not self.path.exists():
            return
        text = self.path.read_bytes().decode("utf-8", errors="replace")
        *lines, half = text.split("\n")
        lines += [half] if _record(half) else []
        is_of: dict[Path, bool] = {}
        for number, line in enumerate(lines, start=1):
            record = self._check(line, number, keys)
            if "error" not in record:
                place = self._place_of(record["clip"])
                is_of[place] = _is_of(record, place)
        self.answered = {place for place, holds in is_of.items() if holds}
        self.outdated = is_of.keys() - self.answered
        self._is_to_mend = bool(half) or len(self.answered) < len(lines)

    def _mend(self) -> None:
        """Leaves one line of each clip in the file, and none that counts no longer."""
        if not self._is_to_mend or not self.path.exists():
            return
        text = self.path.read_bytes().decode("utf-8", errors="replace")
        kept: dict[tuple[Path, bool], str] = {}
        for line in text.split("\n"):
            if record := _record(line):
                place, failed = self._place_of(record["clip"]), "error" in record
                if self._counts(place, failed):
                    kept[place, failed] = f"{line}\n"  # the last of them
        if (mended := "".join(kept.values())) != text:
            write_text(self.path, mended)
        self._is_to_mend = False

    def _counts(self, place: Path, failed: bool) -> bool:
        if failed:
            return place in self._failed
        return place in self.answered or (place in self.outdated and place not in self._forgotten)

    def _check(self, line: str, number: int, keys: set[str]) -> Line:
        place, record = f"'{self.path}' line {number}", _record(line)
        if record is None:
            raise UserError(f"{place} is no answer about a clip: name another --output")
        for key in sorted(keys):
            if record.get(key) != (now := self.question.get(key)):
                raise UserError(
                    f"{place} answers another question: its {key} is"
                    f" {_display(record.get(key))}, now it is {_display(now)}."
                    " Ask the same to go on, or name another --output"
                )
        return record

    def holds(self, clip: Path) -> bool:
        """Whether a clip is answered."""
        return Path(os.path.abspath(clip)) in self.answered

    def held(self, clip: Path) -> bool:
        """Whether a clip has an answer that is outdated."""
        return Path(os.path.abspath(clip)) in self.outdated

    def _place_of(self, name: str) -> Path:
        return Path(os.path.abspath(self.path.absolute().parent / name))

    def _name_of(self, clip: str) -> str:
        """As it is written: the same clip wherever the command runs. What is named from the working
        folder on is named from the file's folder on, if it lies below.
        """
        if os.path.isabs(clip):
            return clip
        place, folder = Path(os.path.abspath(clip)), Path(os.path.abspath(self.path)).parent
        return str(place.relative_to(folder) if place.is_relative_to(folder) else place)

    def add(self, records: Iterable[Line]) -> None:
        """Writes answers, at once and for good; a relative clip is named from the file's
        folder on.

        Raises:
            DiskFullError: If there is no room; those written before are whole.
        """
        self._mend()
        records = [
            {**one, "clip": self._name_of(one["clip"]), _FILE: _state(Path(one["clip"]))}
            for one in records
        ]
        with disk_full_as_error(self.path):
            append_log(self.path, [{**one, **self.question} for one in records])
        made = {self._place_of(one["clip"]) for one in records if "error" not in one}
        self._failed |= {self._place_of(one["clip"]) for one in records} - made
        self._has_doubles |= not made.isdisjoint(self.outdated)
        self.outdated -= made
        self.answered |= made

    def forget(self, clips: Iterable[Path]) -> None:
        """Has clips answered anew: the answers that they have are taken out."""
        again = {Path(os.path.abspath(clip)) for clip in clips}
        self.outdated |= self.answered & again
        self.answered -= again
        self._forgotten |= self.outdated & again
        self._is_to_mend |= bool(self._forgotten)

    def keep_forgotten(self) -> None:
        """Leaves each forgotten answer in the file until another takes its place, for whoever must
        know what is made already.
        """
        self._forgotten.clear()


def _state(clip: Path) -> list[int] | None:
    try:
        found = clip.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]


def _is_of(record: Line, clip: Path) -> bool:
    """Whether the line is about the file that is there now, as far as either is known."""
    told, now = record.get(_FILE), _state(clip)
    return told is None or now is None or told == now


def _record(line: str) -> Line | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and isinstance(record.get("clip"), str) else None


def _display(value: Any) -> str:
    return "not given" if value is None else json.dumps(value, ensure_ascii=False)
