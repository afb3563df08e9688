"""MP4 (M4A) and Matroska (WebM): boxes within boxes, each of which tells its length."""

from __future__ import annotations

import struct
from typing import BinaryIO

from speechverse.audio.link import EBML, Link, cut_off, read_at

_ELEMENTS = frozenset(
    bytes.fromhex(name)
    for name in "1a45dfa3 18538067 ec bf 114d9b74 1549a966 1654ae6b 1c53bb6b 1f43b675 1941a469 1043a770 1254c367 "
    "e7 5854 a7 ab a3 a0 af".split()
)
"""Names at the top of a file, in a segment and in a cluster."""


def mp4_link(file: BinaryIO, start: int, size: int) -> Link:
    """The link that begins at a byte: boxes up to where the next file begins.

    Args:
        file: Open for reading.
        start: Where it begins.
        size: Bytes in the file.

    Raises:
        Fault: If a box is cut off.
    """
    position = start
    while position + 8 <= size:
        length, name = struct.unpack(">I4s", read_at(file, position, 8))
        if not all(32 <= byte < 127 or byte == 0xA9 for byte in name) or (name == b"ftyp" and position > start):
            break
        if length == 1:
            (length,) = struct.unpack(">Q", read_at(file, position + 8, 8).rjust(8, b"\0"))
        if length == 0:
            return Link(start, size)
        if length < 8:
            break
        if position + length > size:
            raise cut_off(position + length - size)
        position += length
    return Link(start, position)


def matroska_link(file: BinaryIO, start: int, size: int) -> Link:
    """As `mp4_link`; parts of unknown length, as browsers and other streams write them, are looked into."""
    position = start
    while position < size:
        name, length, body = _element(file, position)
        if name not in _ELEMENTS or (name == EBML and position > start):
            break
        if length is None:
            position = body
        elif body + length > size:
            raise cut_off(body + length - size)
        else:
            position = body + length
    return Link(start, position)


def _element(file: BinaryIO, position: int) -> tuple[bytes, int | None, int]:
    """Name, length (None if not known) and where the content begins; no name where there is no element."""
    head = read_at(file, position, 12)
    of_name = 9 - head[0].bit_length() if head else 9
    if of_name > 4 or len(head) <= of_name:
        return b"", 0, position
    of_length = 9 - head[of_name].bit_length()
    told = head[of_name : of_name + of_length]
    if of_length > 8 or len(told) < of_length:
        return b"", 0, position
    length = int.from_bytes(told, "big") - (1 << 7 * of_length)
    unknown = length == (1 << 7 * of_length) - 1
    return head[:of_name], None if unknown else length, position + of_name + of_length
