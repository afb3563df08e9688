"""MPEG audio (MP3): frames counted one by one, because the header that tells their number may be wrong or missing.

A decoder that believes a wrong number stops there, and one that finds none guesses it from the first frame's size.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO, NamedTuple

from speechverse.audio.link import Fault, Link, begins, broken, cut_off, read_at

_KBITS = {
    (1, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""By version (1, or 2 for 2 and 2.5) and layer."""

_HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_HEAD = 2**13
_FRAMES, _BYTES = 1, 2  # flags of a Xing header


class _Kind(NamedTuple):
    """What all frames of a stream have in common, and the size of this one in bytes."""

    version: int
    layer: int
    rate: int
    mono: bool
    size: int

    @property
    def stream(self) -> tuple:
        return self[:4]


@cache
def _kind(head: int) -> _Kind | None:
    """What a frame's first three bytes and the channel mode in its fourth say; None if they begin no frame."""
    bits, mono = head >> 8, (head >> 6 & 3) == 3
    version, layer = bits >> 11 & 3, 4 - (bits >> 9 & 3)
    rate_index, kbits_index, padding = bits >> 2 & 3, bits >> 4 & 15, bits >> 1 & 1
    if bits >> 13 != 0x7FF or version == 1 or layer == 4 or rate_index == 3 or kbits_index in (0, 15):
        return None
    kbits, rate = _KBITS[1 if version == 3 else 2, layer][kbits_index], _HERTZ[version][rate_index]
    if layer == 1:
        return _Kind(version, layer, rate, mono, (12_000 * kbits // rate + padding) * 4)
    factor = 72_000 if layer == 3 and version != 3 else 144_000
    return _Kind(version, layer, rate, mono, factor * kbits // rate + padding)


def _kind_at(data: bytes, position: int) -> _Kind | None:
    head = data[position : position + 4]
    return _kind(int.from_bytes(head, "big") & 0xFFFFFEC0) if len(head) == 4 and head[0] == 0xFF else None


def tag_size(head: bytes) -> int:
    """Bytes of the ID3v2 tag that begins with these ten; 0 if none does."""
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127 or head[3] == 0xFF:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


def begins_mpeg(head: bytes) -> bool:
    """Whether a file with these first bytes (8 KiB, or all there are) begins with frames of one kind."""
    return _kind_at(head, 0) is not None and _lasts(head, 0)


@dataclass(frozen=True, slots=True)
class _Note:
    """What the first frame tells of the stream instead of sound.

    Attributes:
        at: Where its flags begin, in bytes from the frame's start.
        frames: Number of frames, if told.
        size: Bytes of the stream, if told.
        xing: Whether it is of the kind that every decoder reads.
    """

    at: int
    frames: int | None
    size: int | None
    xing: bool = True


def _side(kind: _Kind) -> int:
    """Bytes between the head of a layer III frame and its sound."""
    return (17 if kind.mono else 32) if kind.version == 3 else (9 if kind.mono else 17)


def _note(data: bytes, position: int, kind: _Kind) -> _Note | None:
    if kind.layer != 3:
        return None
    if data[position + 36 : position + 40] == b"VBRI":
        return _Note(0, None, None, xing=False)
    at = 4 + _side(kind) + (0 if data[position + 1] & 1 else 2)
    if data[position + at : position + at + 4] not in (b"Xing", b"Info") or position + at + 16 > len(data):
        return None
    flags, first, second = struct.unpack_from(">III", data, position + at + 4)
    frames = first if flags & _FRAMES else None
    size = (second if flags & _FRAMES else first) if flags & _BYTES else None
    return _Note(at + 4, frames, size)


def mpeg_link(file: BinaryIO, start: int, size: int) -> Link:
    """The link that begins at a byte: frames of one kind up to other ones, another header, or the end.

    A frame that is begun at the very end is left out, as broadcasts are recorded.

    Args:
        file: Open for reading.
        start: Where it begins, at its first frame.
        size: Bytes in the file.

    Raises:
        Fault: If frames are missing, or something else lies between them.
    """
    data = read_at(file, start, size - start)
    first = _kind_at(data, 0)
    assert first is not None  # the caller has looked
    note = _note(data, 0, first)
    count, sound_end, end = _walk(data, first, start, noted=note is not None)
    if first.layer != 3 or count == 0:
        return Link(start, start + end, for_ffmpeg=True)
    if note is None or not note.xing or note.frames is None:
        begin = first.size if note is not None else 0
        return Link(start + begin, start + end, _made_note(data, begin, count, sound_end - begin))
    if note.frames == count:
        return Link(start, start + end)
    if note.frames > count and (note.size is None or note.size > sound_end):
        raise Fault(f"is cut off: {note.frames} MPEG frames were promised, {count} are there; copy it again")
    head = bytearray(data[: first.size])
    values = [count] if note.size is None else [count, sound_end]
    struct.pack_into(f">{len(values)}I", head, note.at + 4, *values)
    return Link(start + first.size, start + end, bytes(head))


def _walk(data: bytes, first: _Kind, start: int, noted: bool) -> tuple[int, int, int]:
    """Number of frames with sound, where the last one ends, and where the link ends."""
    position = first.size if noted else 0
    count, total = 0, len(data)
    noted_again = re.search(rb"Xing|Info|VBRI", data[position + 8 :]) is not None
    while (kind := _kind_at(data, position)) is not None:
        if position + kind.size > total or kind.stream != first.stream:
            break
        if count and noted_again and _note(data, position, kind):
            return count, position, position
        count, position = count + 1, position + kind.size
    end = _after_tags(data, position)
    return count, position, _next_link(data, end, start, first)


def _after_tags(data: bytes, position: int) -> int:
    """Where the tags end that may follow the sound."""
    while True:
        if data[position : position + 3] == b"TAG":
            position = min(len(data), position + (227 if data[position + 3 : position + 4] == b"+" else 128))
        elif data[position : position + 8] == b"APETAGEX" and position + 24 <= len(data):
            size, _, flags = struct.unpack_from("<III", data, position + 12)
            position = min(len(data), position + 32 + (size if flags & 0x20000000 else 0))
        elif data[position : position + 11] == b"LYRICSBEGIN":
            end = max(data.find(b"LYRICS200", position), data.find(b"LYRICSEND", position))
            position = len(data) if end < 0 else end + 9
        else:
            return position


def _next_link(data: bytes, position: int, start: int, first: _Kind) -> int:
    """Where the link ends, given where its frames and tags do: what lies between frames must be nothing at all."""
    if position >= len(data) or tag_size(data[position : position + 10]):
        return min(position, len(data))
    following = _kind_at(data, position)
    if following is not None and (position + following.size > len(data) or _lasts(data, position)):
        return len(data) if position + following.size > len(data) else position
    resumed = -1 if _begins_another(data, position) else data.find(b"\xff", position)
    while resumed >= 0:
        kind = _kind_at(data, resumed)
        if kind is not None and kind.stream[:3] == first.stream[:3] and _lasts(data, resumed):
            if any(data[position:resumed]):
                raise broken(start + position, f"{resumed - position} bytes there are no MPEG frame")
            return resumed
        resumed = data.find(b"\xff", resumed + 1)
    return position


def _begins_another(data: bytes, position: int) -> bool:
    head = data[position : position + _HEAD]
    return begins(head) or begins_adts(head) or begins_mpeg(head)


def _lasts(data: bytes, position: int) -> bool:
    """Whether three frames of one kind follow each other there, or as many as fit."""
    first = _kind_at(data, position)
    for _ in range(3):
        kind = _kind_at(data, position)
        if kind is None or first is None or kind.stream[:3] != first.stream[:3]:
            return False
        position += kind.size
        if position + 4 > len(data):
            return position == len(data)
    return True


def begins_adts(head: bytes) -> bool:
    """Whether a file with these first bytes begins with two frames of AAC that need no container."""
    size = _adts_size(head, 0)
    return size > 0 and (len(head) <= size or _adts_size(head, size) > 0)


def adts_link(file: BinaryIO, start: int, size: int) -> Link:
    """As `mpeg_link`, of AAC without a container."""
    data = read_at(file, start, size - start)
    position = 0
    while frame := _adts_size(data, position):
        position += frame
    if position > len(data):
        raise cut_off(position - len(data))
    rest = b"" if _begins_another(data, position) else data[position:]
    for found in re.finditer(rb"\xff[\xf0-\xf9]", rest):
        at = position + found.start()
        if (following := _adts_size(data, at)) and _adts_size(data, at + following):
            raise broken(start + position, f"{at - position} bytes there are no AAC frame")
    return Link(start, start + position)


def _adts_size(data: bytes, position: int) -> int:
    head = data[position : position + 7]
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 > 12:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size > 7 else 0


def _made_note(data: bytes, position: int, count: int, size: int) -> bytes:
    """A frame before the first that tells how many follow."""
    kind = _kind_at(data, position)
    assert kind is not None
    start = int.from_bytes(data[position : position + 4], "big") | 0x10000  # without a checksum of its own
    wanted = 4 + _side(kind) + 16
    heads = (start & ~0xF200 | index << 12 for index in range(1, 15))  # at every bit rate
    sizes = {head: made.size for head in heads if (made := _kind(head & 0xFFFFFEC0)) is not None}
    head = next(head for head, made_size in sizes.items() if made_size >= wanted)
    note = struct.pack(">4sIII", b"Info", _FRAMES | _BYTES, count, size + sizes[head])
    return (struct.pack(">I", head) + bytes(_side(kind)) + note).ljust(sizes[head], b"\0")
