"""FLAC: whether the header tells its length right is seen at the file's end, without decoding."""

from __future__ import annotations

import re
import struct
from typing import BinaryIO, NamedTuple

from speechverse.audio import mpeg
from speechverse.audio.link import BEGINNINGS, EBML, Fault, Link, read_at

MAGIC = b"fLaC"
_TAIL = 2**16
_READ_WHOLE = 2**21
_PROBES = 16
_HEAD = 2**13
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
_OTHERS = re.compile(b"|".join(re.escape(name) for name in (*BEGINNINGS, b"ftyp", EBML, b"ID3")))
_SHORTEST_FRAME = 9  # bytes
_BLOCK_SIZES = {1: 192, **{code: 576 << code - 2 for code in range(2, 6)}, **{n: 256 << n - 8 for n in range(8, 16)}}


class _Info(NamedTuple):
    """What the header tells."""

    at: int  # where it begins in the file
    max_block: int
    max_frame: int
    fixed: bool
    total: int
    sound: int  # where the first frame begins


def flac_link(file: BinaryIO, start: int, size: int) -> Link:
    """The link that begins at a byte, with a header that tells its true length.

    Args:
        file: Open for reading.
        start: Where it begins.
        size: Bytes in the file.

    Raises:
        Fault: If it is cut off.
    """
    info = _info(file, start, size)
    if info is None:
        return Link(start, size)
    end = size if _is_one(file, info, size) else _next(file, info.sound, size)
    tail_begin = max(info.sound, end - _window(info))
    tail = read_at(file, tail_begin, end - tail_begin)
    last = _heads(tail, info).get(info.total) if info.total else None
    if last is not None and not _may_begin_another(tail[last + 1 :]):
        return Link(start, end)
    return _looked_through(file, start, info, read_at(file, info.sound, end - info.sound))


def _looked_through(file: BinaryIO, start: int, info: _Info, sound: bytes) -> Link:
    """The link of a file whose header tells no length or a wrong one, or which something else follows."""
    total, length = _last_frame(sound, info)
    if not total:
        return Link(start, info.sound + len(sound), known=False)
    rest = sound[length:]
    if _heads(rest[:16], info) or not (_may_begin_another(rest[:_HEAD]) or _is_tag(rest)):
        raise Fault("is cut off or broken: its frames are not whole up to the end; copy or convert it again")
    impossible = info.total > len(sound) // _SHORTEST_FRAME * max(1, info.max_block)
    if info.total > total and not impossible:
        raise Fault(f"is cut off: {info.total} samples were promised, {total} are there; copy it again")
    if info.total == total:
        return Link(start, info.sound + length)
    head = bytearray(read_at(file, start, info.sound - start))
    at = info.at - start + 10
    (packed,) = struct.unpack_from(">Q", head, at)
    struct.pack_into(">Q", head, at, packed >> 36 << 36 | total)
    return Link(info.sound, info.sound + length, bytes(head))


def _may_begin_another(data: bytes) -> bool:
    """Whether what begins another file of sound, or a tag before one, lies in there."""
    frames = (found.start() for found in re.finditer(rb"\xff[\xe0-\xff]", data))
    return _OTHERS.search(data) is not None or any(
        mpeg.begins_mpeg(data[at : at + _HEAD]) or mpeg.begins_adts(data[at : at + _HEAD]) for at in frames
    )


def _is_tag(rest: bytes) -> bool:
    return not rest.strip(b"\0") or rest.startswith((b"TAG", b"APETAGEX", b"LYRICSBEGIN"))


def _info(file: BinaryIO, start: int, size: int) -> _Info | None:
    position, info = start + 4, None
    while position + 4 <= size:
        kind, *length = read_at(file, position, 4)
        body = position + 4
        position = body + int.from_bytes(bytes(length), "big")
        if kind & 127 == 0:
            told = read_at(file, body, 34)
            if len(told) < 34:
                return None
            smallest, largest = struct.unpack_from(">HH", told)
            (packed,) = struct.unpack_from(">Q", told, 10)
            info = _Info(
                body, largest, int.from_bytes(told[7:10], "big"), smallest == largest, packed & (2**36 - 1), position
            )
        if kind & 128:
            return info._replace(sound=position) if info is not None and position <= size else None
    return None


def _is_one(file: BinaryIO, info: _Info, size: int) -> bool:
    """Whether no other FLAC follows in the file: short files are looked through, in long ones frames' numbers rise."""
    if size - info.sound <= _READ_WHOLE:
        return _next(file, info.sound, size) == size
    reached = 0
    for probe in range(1, _PROBES):
        begin = info.sound + probe * (size - info.sound) // _PROBES
        ends = _heads(read_at(file, begin, _window(info)), info)
        higher = [end for end in ends if reached <= end <= (info.total or 2**36)]
        if not higher:
            return False
        reached = min(higher)
    return True


def _next(file: BinaryIO, position: int, size: int) -> int:
    """Where the next FLAC begins, or the file ends."""
    data = read_at(file, position, size - position)
    found = data.find(MAGIC) if data.rfind(MAGIC) >= 0 else -1  # from the end is three times as fast
    while found >= 0:
        if data[found + 4 : found + 8] in (b"\x00\x00\x00\x22", b"\x80\x00\x00\x22"):
            return position + found
        found = data.find(MAGIC, found + 1)
    return size


def _window(info: _Info) -> int:
    """Bytes in which a frame's head is sure to lie, and a tag of ID3v1 has room."""
    return 2 * info.max_frame + 256 if info.max_frame else _TAIL


def _heads(data: bytes, info: _Info) -> dict[int, int]:
    """Where in a part of the file frames begin, by how many samples the stream holds at their end.

    What looks like a head by chance is among them; that it tells the very number expected is not chance.
    """
    found = (match.start() for match in _SYNC.finditer(data))
    ends = {_frame_end(data[at : at + 16], info): at for at in found}
    ends.pop(0, None)
    return ends


def _last_frame(sound: bytes, info: _Info) -> tuple[int, int]:
    """How many samples the stream holds at the end of its last whole frame, and where that is; zeros if none is."""
    for match in reversed(list(_SYNC.finditer(sound))):
        begin = match.start()
        if (total := _frame_end(sound[begin : begin + 16], info)) and (end := _end_of_frame(sound, begin, info)):
            return total, end
    return 0, 0


def _end_of_frame(sound: bytes, begin: int, info: _Info) -> int:
    """Where a frame's checksum comes out; 0 if nowhere.

    In one frame of some thirty it also comes out by chance before the end, so that an end which nothing, a tag or
    another file follows counts more than the first.
    """
    checksum, ends = 0, list[int]()
    for at in range(begin, min(len(sound), begin + (info.max_frame or _TAIL))):
        checksum = (checksum << 8 & 0xFFFF) ^ _CRC16[checksum >> 8 ^ sound[at]]
        if checksum == 0 and at > begin + 8:
            ends.append(at + 1)
    whole = (end for end in reversed(ends) if _is_tag(sound[end:]) or _begins_another(sound[end : end + _HEAD]))
    return next(whole, ends[0] if ends else 0)


def _begins_another(rest: bytes) -> bool:
    return _OTHERS.search(rest[:12]) is not None or mpeg.begins_mpeg(rest) or mpeg.begins_adts(rest)


def _frame_end(head: bytes, info: _Info) -> int:
    """Samples up to this frame's end; 0 if it is none."""
    if len(head) < 6:
        return 0
    ones = 8 - (~head[4] & 0xFF).bit_length()
    if ones in (1, 8) or head[3] & 1:
        return 0
    length = max(1, ones)
    number = head[4] & (0x7F >> ones)
    for byte in head[5 : 4 + length]:
        number = number << 6 | byte & 0x3F
    code = head[2] >> 4
    position = 4 + length
    block = _BLOCK_SIZES.get(code, 0)
    if code in (6, 7):
        block = int.from_bytes(head[position : position + code - 5], "big") + 1
        position += code - 5
    position += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if not block or len(head) <= position or _crc8(head[:position]) != head[position]:
        return 0
    return number + block if head[1] & 1 else number * info.max_block + block


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value = _CRC8[value ^ byte]
    return value


def _remainder(byte: int, polynomial: int, bits: int) -> int:
    value = byte << bits - 8
    for _ in range(8):
        value = value << 1 ^ (polynomial if value >> bits - 1 else 0)
    return value & (1 << bits) - 1


_CRC8 = bytes(_remainder(byte, 0x107, 8) for byte in range(256))
_CRC16 = [_remainder(byte, 0x18005, 16) for byte in range(256)]
