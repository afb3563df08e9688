"""Answers kept as they come: an evaluation that is stopped, however it is stopped, goes on from
them.

Each answer is kept under a hash of all that it depends on (model, recording, instruction, choices,
decoding). One that was made otherwise has another hash and is never taken for it, so nobody need
say whether a journal is stale.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from speechverse import __version__
from speechverse.batching import in_batches
from speechverse.data.cache import entry_key, weights_to_hash
from speechverse.decoding import DecodingOptions
from speechverse.decoding.options import NO_MATTER
from speechverse.errors import AudioError
from speechverse.evaluation.control import plain
from speechverse.evaluation.parts import System
from speechverse.evaluation.without_words import Fitted, WithoutWords
from speechverse.files import append_log, disk_full_as_error, folder_lock, read_log
from speechverse.progress import Advance
from speechverse.protocols import Model
from speechverse.registry import SYSTEMS
from speechverse.seeding import fingerprint
from speechverse.tasks import get_task
from speechverse.types import Answer, Example, Seconds

JOURNAL = "answers.unfinished.jsonl"
_FINGERPRINTS = ("fingerprint", "encoder_fingerprint", "llm_fingerprint")
_AT_ONCE_ON_CPU = 16
"""Examples whose answers are lost when a process is killed; a processor gains little from more at
once.
"""
_ANSWER_FIELDS = frozenset(member.name for member in fields(Answer))

Tell = Callable[[str], None]
"""Told, in a line, what the user should know."""


class Kept(NamedTuple):
    """An answer, and the wall time it took."""

    answer: Answer
    seconds: Seconds


@dataclass
class Journal:
    """A file of answers, read when it is opened and added to as they come.

    Attributes:
        path: The file; None keeps nothing.
        kept: Answers by key: those found, and those added since.
        found: Keys of those found.
        used: Keys of those found that were asked for.
    """

    path: Path | None
    kept: dict[str, Kept] = field(default_factory=dict)
    found: frozenset[str] = frozenset()
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.path is not None:
            self.kept = dict(_entries(self.path))
            self.found = frozenset(self.kept)

    def get(self, key: str) -> Kept | None:
        """The answer of that key, if it is kept."""
        if key in self.found:
            self.used.add(key)
        return self.kept.get(key)

    def add(self, keys: Sequence[str], answers: Sequence[Answer], seconds: Seconds) -> None:
        """Keeps answers that took so long together; what was refused is asked again another time.

        Raises:
            DiskFullError: If there is no room; those kept before are whole.
        """
        each = seconds / len(keys)
        new = {key: Kept(made, each) for key, made in zip(keys, answers, strict=True)}
        if self.path is not None:
            with disk_full_as_error(self.path):
                given = {key: kept for key, kept in new.items() if kept.answer.error is None}
                append_log(self.path, [_record(key, kept) for key, kept in given.items()])
        self.kept |= new

    @property
    def note(self) -> str:
        """What of an earlier run's answers is used and what not; empty without such a run."""
        if not self.found:
            return ""
        told = f"{len(self.used):,} answers of a run that did not end are used"
        if other := len(self.found) - len(self.used):
            told += (
                f"; {other:,} others were made otherwise (model, clips, instructions or decoding)"
                " and are not"
            )
        return told


@contextmanager
def keep_answers(folder: Path | None, tell: Tell = lambda line: None) -> Iterator[Journal]:
    """The journal in a folder of results; it is removed when the block ends without an error, for
    then all is written.

    Raises:
        UserError: If another run evaluates into that folder now: two would mix their answers.
    """
    with folder_lock(folder, "evaluating into") if folder else nullcontext():
        journal = Journal(folder / JOURNAL if folder else None)
        if journal.found:
            tell(
                f"going on: {len(journal.found):,} answers of a run that did not end are in"
                f" '{folder}'"
            )
        try:
            yield journal
        except BaseException:
            if journal.path is not None and journal.kept:
                told = f"{len(journal.kept):,} answers made so far are kept in '{journal.path}'"
                tell(f"{told}; the same command goes on from them")
            raise
        if journal.path is not None:
            journal.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class AnswerKeys:
    """Names an answer by all that it depends on."""

    common: str

    @classmethod
    def of(
        cls, model: Model, about_model: Mapping[str, Any], decoding: DecodingOptions
    ) -> AnswerKeys:
        """Keys of one model's answers.

        Args:
            about_model: Its fingerprints, as `provenance.describe` gives them; without them its
                weights are hashed.
        """
        identity: Any = {name: about_model.get(name) for name in _FINGERPRINTS}
        if not identity["fingerprint"]:
            config = repr(model.config.to_dict())
            identity = fingerprint(config, *weights_to_hash(model.state_dict()))
        options = decoding.model_dump(exclude=NO_MATTER)
        return cls(_hash(__version__, identity, str(model.dtype), model.device.type, options))

    def __call__(self, system: System, example: Example) -> str:
        """The key of one system's answer to one example.

        Raises:
            AudioError: If the clip's file is missing.
        """
        utterance, task = example.utterance, get_task(example.task)
        read = None if system.hears else utterance.of_clips(lambda clip: clip.text)
        sounds = map(entry_key, utterance.clips)
        stands_on = getattr(system, "stands_on", "")  # a recogniser, an adapter of its own
        inner = plain(system)
        if isinstance(inner, Fitted):
            stands_on += inner.fitted_on(task.name)
        if inner.name in SYSTEMS.own:
            stands_on += _code_at(SYSTEMS.own[inner.name][0])
        asked = (task.name, task.version, example.instruction, example.choices, example.earlier)
        spoken = [clip.language for clip in utterance.clips]  # which recognisers are told
        return _hash(self.common, system.name, stands_on, *asked, *sounds, read, spoken)

    def are_kept(self, journal: Journal, system: System, example: Example) -> bool:
        """Whether a system's answer is there already."""
        try:
            return self(system, example) in journal.kept
        except AudioError:
            return False


def answer_or_recall(
    journal: Journal,
    keys: AnswerKeys,
    system: System,
    examples: Sequence[Example],
    progress: Advance,
    at_once: int,
    clock: Callable[[], Seconds] = time.perf_counter,
) -> tuple[list[Answer], Seconds]:
    """A system's answers to the examples of a task, those already kept taken from the journal.

    Args:
        progress: Told of answers made or found.
        at_once: Examples after which answers are kept; a system may say fewer.
        clock: What time is kept by.

    Returns:
        One answer for each example, in order, and the wall time that those found had taken.
    """
    if isinstance(plain(system), Fitted):
        at_once = len(examples)  # it is fitted once for all
    elif isinstance(plain(system), WithoutWords):
        # its answers depend on all examples together, and take no time
        return system.answer(examples, progress), 0.0
    at_once = min(at_once, getattr(plain(system), "at_once", at_once))
    names = [keys(system, example) for example in examples]
    found = [kept.seconds for name in names if (kept := journal.get(name))]
    progress(len(found))
    pending = [place for place, name in enumerate(names) if name not in journal.kept]
    # Like with like: batches waste less.
    pending.sort(key=lambda place: -examples[place].utterance.duration)
    for places in in_batches(pending, at_once):
        began = clock()
        made = system.answer([examples[place] for place in places], progress)
        journal.add([names[place] for place in places], made, clock() - began)
    return [journal.kept[name].answer for name in names], sum(found)


def at_once(model: Model, decoding: DecodingOptions) -> int:
    """After how many examples answers are kept: as many as go through the model together."""
    on_cpu = model.device.type == "cpu"
    return min(decoding.max_batch, _AT_ONCE_ON_CPU) if on_cpu else decoding.max_batch


def _code_at(origin: str) -> str:
    """The hash of a user's file, by where its system comes from ("file.py:NAME")."""
    file = Path(origin.rpartition(":")[0] or origin)
    return _file_fingerprint(file, file.stat().st_mtime_ns) if file.is_file() else ""


@lru_cache
def _file_fingerprint(file: Path, mtime_ns: int) -> str:
    return fingerprint(file.read_bytes())


def _entries(path: Path) -> Iterator[tuple[str, Kept]]:
    for entry in read_log(path):
        try:
            made = {name: x for name, x in entry["answer"].items() if name in _ANSWER_FIELDS}
            yield entry["key"], Kept(Answer(**made), float(entry["seconds"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # as another version wrote it


def _record(key: str, kept: Kept) -> dict[str, Any]:
    answer = {name: value for name, value in asdict(kept.answer).items() if value is not None}
    return {"key": key, "seconds": round(kept.seconds, 4), "answer": answer}


def _hash(*parts: Any) -> str:
    return fingerprint(json.dumps(parts, sort_keys=True, default=str))[:32]
