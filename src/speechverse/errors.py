"""One tree of errors; each message names what was wrong, what is allowed and what to do.

`UserError` is the user's to mend (exit status 2); any other `SpeechverseError` is ours (exit status
1).
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class SpeechverseError(Exception):
    """Everything this package raises on purpose."""


class UserError(SpeechverseError):
    """Something the user can mend: an argument, a file, a recipe."""


class AudioError(UserError):
    """Audio that cannot be used: unreadable, empty, silent, too short or too long.

    Attributes:
        kind: What is wrong with it in a few words, under which such clips are counted.
    """

    def __init__(self, message: str, kind: str = "unreadable") -> None:
        self.kind = kind
        super().__init__(message)


class AudioTooLongError(AudioError):
    """Audio beyond the model's limit; nothing is ever cut silently."""


class CorpusError(UserError):
    """A manifest or corpus folder that is not whole, or whose lines do not say what they should."""


class RecipeError(UserError):
    """A recipe with an unknown key, a wrong value or parts that do not fit each other."""


class TaskError(UserError):
    """An unknown task, or an utterance that lacks the label a task asks for."""


class CheckpointError(UserError):
    """A checkpoint that is missing, half written, or does not fit its encoder, LLM or recipe."""


class CacheError(UserError):
    """A feature cache that is stale, foreign or broken."""


class DivergedError(SpeechverseError):
    """A training whose loss or gradient is no number any longer."""


class DiskFullError(UserError):
    """No room for a file; what was saved before is whole.

    Attributes:
        path: What was not written.
        reason: The system's words.
    """

    def __init__(self, path: Path, reason: str, go_on: str = "give the same command again") -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"the disk is full or a limit on it is reached ({reason}): '{path}' was not written,"
            f" what was saved before is whole. Make room, then {go_on}"
        )


class CancelledError(SpeechverseError):
    """An answer that whoever asked wants no longer."""


class MissingExtraError(UserError):
    """An optional part is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the optional extra '{extra}': pip install 'speechverse[{extra}]'"
        )


@contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Says what to install where an import in the block finds no module."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(what, extra) from error


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    said = str(error).strip()
    return said.splitlines()[0] if said else type(error).__name__


def no_room(error: BaseException | str | None) -> str | None:
    """Why the system took no more bytes (disk, quota, limit on a file), in its words; None for any
    other error.

    Args:
        error: An error, with those that it came from; or its text, for not all libraries hand the
            system's number on.
    """
    while error:
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if getattr(error, "errno", None) == number or os.strerror(number) in str(error):
                return os.strerror(number)
        error = None if isinstance(error, str) else error.__cause__ or error.__context__
    return None


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Words an error for a name that is not among the known ones, with the nearest of them.

    Args:
        kind: What was named, e.g. "task".
        name: What the user wrote.
        known: Every name allowed.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"unknown {kind} '{name}'{hint} (known: {', '.join(names) or 'none'})"
