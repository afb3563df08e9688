"""WAV and its kin: headers that tell how many bytes of sound follow, or leave it open.

A program that writes into a pipe cannot know the length. It leaves 0, all ones, or about 2 GiB (SoX 0x7FFFF000,
arecord 0x7FFFFF00, for AIFF 0x7F000000): then the sound goes on to the end of the file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from speechverse.audio.link import BEGINNINGS, Fault, Link, cut_off, read_at

_NEAR = 2**20
_FIRST_OPEN_BIT = 0x7F000000


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a family of formats writes its chunks.

    Attributes:
        header: Bytes before the first chunk.
        name: Bytes of a chunk's name.
        size: struct format of its length.
        counts_itself: Whether that length counts name and length too.
        align: Chunks begin at multiples of this, counted from the file's start.
        sound: Name of the chunk with the sound.
        lead: Bytes in that chunk before the sound.
        total: Where the length of the whole file is told, or None.
        total_less: Bytes at the file's start that this length does not count.
    """

    header: int
    name: int
    size: str
    counts_itself: bool
    align: int
    sound: bytes
    lead: int = 0
    total: int | None = None
    total_less: int = 0


_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")
_WAV = _Layout(12, 4, "<I", False, 2, b"data", total=4, total_less=8)
_BIG_WAV = _Layout(12, 4, ">I", False, 2, b"data", total=4, total_less=8)
_AIFF = _Layout(12, 4, ">I", False, 2, b"SSND", lead=8, total=4, total_less=8)
_CAF = _Layout(8, 4, ">q", False, 1, b"data", lead=4)
_W64 = _Layout(40, 16, "<Q", True, 8, b"data" + _W64_TAIL, total=16)


class _Chunk(NamedTuple):
    name: bytes
    told: int  # where its length is told
    begin: int
    size: int


def layout_at(head: bytes) -> _Layout | None:
    """The family that a file with these first bytes, at least 40, belongs to."""
    if head[8:12] == b"WAVE" and head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return _WAV
    if head[:4] == b"RIFX" and head[8:12] == b"WAVE":
        return _BIG_WAV
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _AIFF
    if head[:4] == b"caff":
        return _CAF
    return _W64 if head[:4] == b"riff" and head[24:40] == b"wave" + _W64_TAIL else None


def chunked_link(file: BinaryIO, start: int, size: int) -> Link:
    """The link of a WAV (also RF64, RIFX, W64), AIFF or CAF file that begins at a byte.

    Args:
        file: Open for reading.
        start: Where it begins.
        size: Bytes in the file.

    Raises:
        Fault: If it is cut off, or holds several stretches of sound.
    """
    head = read_at(file, start, 40)
    layout = layout_at(head)
    assert layout is not None  # the caller has looked
    sizes_64 = _ds64(file, start) if head[:4] in (b"RF64", b"BW64") else None
    sound = next((chunk for chunk in _chunks(file, layout, start, size) if chunk.name == layout.sound), None)
    if sound is None:
        return Link(start, size)
    begin = min(size, sound.begin + layout.lead)
    promised = sound.size - layout.lead
    if sizes_64 is not None and (sound.size == 0xFFFFFFFF or sizes_64.data):
        promised = sizes_64.data if sizes_64.data else promised
    there = size - begin
    unwritten = promised <= 0 or there - promised > 2**32 - _NEAR  # or counted over the end of 32 bits
    open_ended = _is_open(promised, layout) and not (  # a file of 2 or 4 GiB may tell its true length
        0 < promised <= there and _is_closed(file, layout, start, size, begin + promised)
    )
    if open_ended or (unwritten and there > 0 and not _is_closed(file, layout, start, size, begin)):
        return _open_ended(file, layout, start, sound, size, sizes_64)
    if promised > there:
        raise cut_off(promised - there)
    return Link(start, _end(file, layout, start, size, begin + max(0, promised)))


def _is_open(promised: int, layout: _Layout) -> bool:
    if struct.calcsize(layout.size) == 8 and promised < 2**32 - 1:
        return promised < -_NEAR or promised == -1 - layout.lead
    near_2_gib = _FIRST_OPEN_BIT - _NEAR <= promised <= 2**31 + _NEAR
    near_4_gib = 2**32 - _NEAR <= promised < 2**32
    return promised >= 2**62 or (struct.calcsize(layout.size) == 4 and (near_2_gib or near_4_gib))


def _is_closed(file: BinaryIO, layout: _Layout, start: int, size: int, position: int) -> bool:
    """Whether the sound ends there: another file begins, or the file's own length is right and only chunks follow."""
    if read_at(file, position, 4) in BEGINNINGS:
        return True
    position = min(size, position + (start - position) % layout.align)
    if layout.total is not None:
        (total,) = struct.unpack(layout.size, read_at(file, start + layout.total, struct.calcsize(layout.size)))
        if total + layout.total_less != size - start:
            return False
    for chunk in _chunks(file, layout, start, size, position):
        if not re.fullmatch(rb"[ -~]{4}", chunk.name[:4]):
            return False
        position = chunk.begin + chunk.size
    return abs(size - position) < 2 * layout.align


def _chunks(file: BinaryIO, layout: _Layout, start: int, size: int, position: int | None = None) -> Iterator[_Chunk]:
    position = start + layout.header if position is None else position
    length = struct.calcsize(layout.size)
    while position + layout.name + length <= size:
        head = read_at(file, position, layout.name + length)
        (told,) = struct.unpack_from(layout.size, head, layout.name)
        own = len(head) if layout.counts_itself else 0
        yield _Chunk(head[: layout.name], position + layout.name, position + len(head), told - own)
        if told < own:
            return
        following = position + len(head) + told - own
        position = following + (start - following) % layout.align


def _end(file: BinaryIO, layout: _Layout, start: int, size: int, position: int) -> int:
    """Where the chunks after the sound end: at another file's start, at what is no chunk, or with the file."""
    if read_at(file, position, 4) in BEGINNINGS:
        return position  # not all programs fill up the last chunk
    position = min(size, position + (start - position) % layout.align)
    for chunk in _chunks(file, layout, start, size, position):
        if chunk.name[:4] in BEGINNINGS or not re.fullmatch(rb"[ -~]{4}", chunk.name[:4]):
            return chunk.told - layout.name
        if chunk.name == layout.sound and chunk.size > layout.lead:
            raise Fault("holds several stretches of sound in one file, of which programs read one; convert it again")
        position = min(size, chunk.begin + max(0, chunk.size))
    return size if size - position < 2 * layout.align else position


class _Sizes(NamedTuple):
    at: int
    total: int
    data: int


def _ds64(file: BinaryIO, start: int) -> _Sizes | None:
    head = read_at(file, start + 12, 24)
    if len(head) < 24 or head[:4] != b"ds64":
        return None
    total, data = struct.unpack_from("<QQ", head, 8)
    return _Sizes(start + 20, total, data)


def _open_ended(file: BinaryIO, layout: _Layout, start: int, sound: _Chunk, size: int, sizes_64: _Sizes | None) -> Link:
    begin = sound.begin + layout.lead
    head = bytearray(read_at(file, start, begin - start))
    most = 2 ** (8 * struct.calcsize(layout.size) - (layout.size[-1] == "q")) - 1

    def tell(at: int, length: int) -> None:
        struct.pack_into(layout.size, head, at - start, min(length, most))

    own = sound.begin - sound.told + layout.name if layout.counts_itself else 0
    tell(sound.told, size - sound.begin + own)
    if layout.total is not None:
        tell(start + layout.total, size - start - layout.total_less)
    if sizes_64 is not None:
        struct.pack_into("<QQQ", head, sizes_64.at - start, size - start - 8, size - begin, 0)
        tell(sound.told, most)
    return Link(begin, size, bytes(head))


def is_other_form(head: bytes) -> bool:
    """Whether a file with these first bytes is made of chunks otherwise (AVI, 8SVX)."""
    return head[:4] in (b"RIFF", b"FORM") and len(head) >= 12 and head[8:12] not in (b"WAVE", b"AIFF", b"AIFC", b"AVIX")


def other_form_link(file: BinaryIO, start: int, size: int) -> Link:
    """As `chunked_link`, of a file of which only its whole length is looked at."""
    position = start
    while position < size:
        head = read_at(file, position, 12)
        if position > start and head[8:12] != b"AVIX":
            break
        (told,) = struct.unpack_from("<I" if head[:1] == b"R" else ">I", head, 4)
        if told == 0 or _is_open(told, _WAV):
            return Link(start, size, known=False)
        position += 8 + told + told % 2
        if position > size + 1:
            raise cut_off(position - size)
    return Link(start, min(position, size), known=False)


def au_link(file: BinaryIO, start: int, size: int) -> Link:
    """As `chunked_link`, of an AU file."""
    head = read_at(file, start, 24)
    if len(head) < 24:
        return Link(start, size)
    order = ">" if head[:4] == b".snd" else "<"
    offset, promised = struct.unpack_from(f"{order}II", head, 4)
    begin = start + offset
    there = size - begin
    if begin > size:
        return Link(start, size)
    if promised >= _FIRST_OPEN_BIT or promised == 0 < there:
        told = bytearray(read_at(file, start, offset))
        struct.pack_into(f"{order}I", told, 8, min(there, 2**32 - 1))
        return Link(begin, size, bytes(told))
    if promised > there:
        raise cut_off(promised - there)
    return Link(start, begin + promised)


def nist_link(file: BinaryIO, start: int, size: int) -> Link:
    """As `chunked_link`, of a NIST SPHERE file; one whose header does not tell its length goes on to the end."""
    match = re.match(rb"NIST_1A\n\s*(\d{1,9})\n", read_at(file, start, 32))
    if match is None:
        return Link(start, size)
    header = int(match[1])
    fields = dict(re.findall(rb"(\w+) -\w+ ([\w,.\-]+)", read_at(file, start, min(header, _NEAR))))
    count, channels, width = (
        int(fields[name]) if fields.get(name, b"").isdigit() else 0
        for name in (b"sample_count", b"channel_count", b"sample_n_bytes")
    )
    coding = fields.get(b"sample_coding", b"pcm")
    promised = count * channels * width
    if not promised or b"embedded" in coding or b"shorten" in coding:
        return Link(start, size)
    if promised > size - start - header:
        raise cut_off(promised - (size - start - header))
    return Link(start, start + header + promised)
