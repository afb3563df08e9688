"""A file of sound is a chain of links: one as a rule, several where files were joined end to end.

Decoders stop where the first link ends, or believe a length that nobody could know when the header was written. So
each link is found here first, and shown to the decoder as a file of its own whose header tells the truth.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

BEGINNINGS = (
    b"RIFF",
    b"RF64",
    b"BW64",
    b"RIFX",
    b"riff",
    b"FORM",
    b"caff",
    b".snd",
    b"dns.",
    b"fLaC",
    b"OggS",
    b"NIST",
)
"""Of files of sound that begin with a name; none is the name of a chunk."""


EBML = bytes.fromhex("1a45dfa3")


def begins(head: bytes) -> bool:
    """Whether a file of sound with a name at its start has these first bytes, at least 8."""
    return head[:4] in BEGINNINGS or head[:4] == EBML or head[4:8] == b"ftyp"


class Fault(Exception):
    """What is wrong with a sound, in words that follow its name: "is cut off: ..."."""


def cut_off(missing: int) -> Fault:
    """The fault of a file that ends before the sound that its header tells of does.

    Args:
        missing: Bytes.
    """
    return Fault(f"is cut off: {missing} bytes of the sound its header tells of are missing; copy it again")


def broken(position: int, how: str) -> Fault:
    """The fault of a file that is damaged in its midst.

    Args:
        position: Where, in bytes from the file's start.
        how: What is wrong there.
    """
    return Fault(f"is broken at byte {position} ({how}); copy or convert it again")


@dataclass(frozen=True, slots=True)
class Link:
    """One sound in a file: `head`, then the file's bytes from `begin` to `end`.

    Attributes:
        begin: Bytes from the file's start.
        end: Where the link ends, not included.
        head: A header that stands for the bytes before `begin`, because theirs does not tell the length.
        known: Whether the kind of file is, and so its header's length is known to be true.
        for_ffmpeg: Whether libsndfile would misjudge its length; PyAV decodes it then.
    """

    begin: int
    end: int
    head: bytes = b""
    known: bool = True
    for_ffmpeg: bool = False


class Stretch(io.RawIOBase):
    """A link as a file of its own, open for reading."""

    def __init__(self, file: BinaryIO, link: Link) -> None:
        self._file, self._link, self._position = file, link, 0
        self._size = len(link.head) + link.end - link.begin

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        """Fills a buffer as far as the link reaches; the number of bytes read."""
        into = memoryview(buffer).cast("B")
        head = self._link.head[self._position : self._position + len(into)]
        into[: len(head)] = head
        rest = min(len(into), self._size - self._position) - len(head)
        if rest > 0:
            self._file.seek(self._link.begin + self._position + len(head) - len(self._link.head))
            data = self._file.read(rest)
            into[len(head) : len(head) + len(data)] = data
            head += data
        self._position += len(head)
        return len(head)


def size_of(file: BinaryIO) -> int:
    """Bytes in an open file; its position is moved."""
    return file.seek(0, io.SEEK_END)


def read_at(file: BinaryIO, position: int, size: int) -> bytes:
    """Up to so many bytes from a position."""
    file.seek(position)
    return file.read(size)
