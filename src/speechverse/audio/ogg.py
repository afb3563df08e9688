"""Ogg: pages with checksums and numbers. Decoders skip what is damaged or missing without a word; here it is told."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, NamedTuple

from speechverse.audio.link import Link, broken, cut_off, read_at

_FIRST, _LAST = 2, 4  # flags of a page
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Page(NamedTuple):
    begin: int
    end: int
    flags: int
    position: int  # samples so far, as the codec counts them
    stream: int
    number: int


def ogg_link(file: BinaryIO, start: int, size: int) -> Link:
    """The link that begins at a byte: pages up to where new streams begin.

    Args:
        file: Open for reading.
        start: Where it begins.
        size: Bytes in the file.

    Raises:
        Fault: If a page is damaged, missing or cut off.
    """
    data = read_at(file, start, size - start)
    before: dict[int, _Page] = {}
    position, begun, closed = 0, False, False
    while position < len(data):
        if data[position : position + 4] != b"OggS":
            _refuse_gap(data, position, start, closed)
            break
        page = _page(data, position, start)
        if page.flags & _FIRST and begun:
            break
        begun = begun or not page.flags & _FIRST
        _refuse_missing(before.get(page.stream), page, start)
        before[page.stream] = page
        closed = bool(page.flags & _LAST)
        position = page.end
    return Link(start, start + position)


def _page(data: bytes, begin: int, start: int) -> _Page:
    if begin + 27 > len(data) or begin + 27 + data[begin + 26] > len(data):
        raise cut_off(max(1, begin + 27 - len(data)))
    _, version, flags, position, stream, number, told, segments = struct.unpack_from("<4sBBqIIIB", data, begin)
    end = begin + 27 + segments + sum(data[begin + 27 : begin + 27 + segments])
    if end > len(data):
        raise cut_off(end - len(data))
    if version != 0 or _checksum(data[begin:end]) != told:
        raise broken(start + begin, "the checksum of an Ogg page is wrong")
    return _Page(begin, end, flags, position, stream, number)


def _checksum(page: bytes) -> int:
    """Ogg's: zlib's polynomial read from the other end, beginning at 0, over a page without its checksum."""
    blank = page[:22] + bytes(4) + page[26:]
    mirrored = zlib.crc32(blank.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRRORED), "big")


def _refuse_missing(before: _Page | None, page: _Page, start: int) -> None:
    if before is None or before.position <= 0:  # a recording of a broadcast begins anywhere after the headers
        return
    if page.number != before.number + 1:
        raise broken(start + page.begin, f"{abs(page.number - before.number - 1)} Ogg pages are missing")


def _refuse_gap(data: bytes, position: int, start: int, closed: bool) -> None:
    """What is no page may follow a stream that was closed, but not lie within one."""
    following = data.find(b"OggS", position)
    begins = 0 <= following < len(data) - 5 and bool(data[following + 5] & _FIRST)
    if not closed or (following >= 0 and not begins):
        raise broken(start + position, "what lies there is no Ogg page")
