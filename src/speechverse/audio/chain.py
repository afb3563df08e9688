"""Which links a file of sound consists of."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable
from typing import BinaryIO

from speechverse.audio import boxes, chunked, flac, mpeg, ogg
from speechverse.audio.link import BEGINNINGS, EBML, Link, read_at, size_of

log = logging.getLogger(__name__)

_HEAD = 2**13
_WORTH_A_WORD = 2**12
"""Bytes after the sound that may be a tag or padding; more of them are told of."""

_MOST_BETWEEN = 2**16
_MAGIC = re.compile(b"|".join(map(re.escape, BEGINNINGS)))

LinkAt = Callable[[BinaryIO, int, int], Link]
"""Finds the link that begins at a byte of a file of so many bytes."""


def links_of(file: BinaryIO, what: str) -> list[Link]:
    """The links of a file, in their order; one that holds all of it where the kind of file is not known.

    Args:
        file: Open for reading; its position is moved.
        what: Names it where something is told of it.

    Raises:
        Fault: If it is cut off or broken.
    """
    size = size_of(file)
    links: list[Link] = []
    position, find = 0, None
    while position < size and (begun := _beginning(file, position)):
        start, find = begun
        link = find(file, start, size)
        links.append(link)
        if link.end <= position:
            break
        position = link.end
    if not links:
        return [Link(0, size, known=False)]
    if find is boxes.matroska_link:  # FFmpeg finds its way through what is damaged
        links[-1] = dataclasses.replace(links[-1], end=size)
        position = size
    _tell_of_the_rest(read_at(file, position, size - position) if size - position > _WORTH_A_WORD else b"", what)
    return links


def _beginning(file: BinaryIO, position: int) -> tuple[int, LinkAt] | None:
    """Where a link begins, past ID3v2 tags and the zeros that may fill up to its first frame, and of which kind."""
    while tag := mpeg.tag_size(read_at(file, position, 10)):
        position += tag
    head = read_at(file, position, _HEAD)
    zeros = len(head) - len(head.lstrip(b"\0"))
    for skipped in (0, zeros):
        if (find := _kind_at(read_at(file, position + skipped, _HEAD))) is not None:
            return position + skipped, find
    if not position:
        return None
    for found in _MAGIC.finditer(read_at(file, position, _MOST_BETWEEN)):  # past what somebody put between two files
        if (find := _kind_at(read_at(file, position + found.start(), _HEAD))) is not None:
            return position + found.start(), find
    return None


def _kind_at(head: bytes) -> LinkAt | None:
    if chunked.layout_at(head) is not None:
        return chunked.chunked_link
    by_magic: dict[bytes, LinkAt] = {
        flac.MAGIC: flac.flac_link,
        b"OggS": ogg.ogg_link,
        b".snd": chunked.au_link,
        b"dns.": chunked.au_link,
        b"NIST": chunked.nist_link,
        EBML: boxes.matroska_link,
    }
    if (found := by_magic.get(head[:4])) is not None:
        return found
    if chunked.is_other_form(head):
        return chunked.other_form_link
    if head[4:8] == b"ftyp":
        return boxes.mp4_link
    if mpeg.begins_adts(head):
        return mpeg.adts_link
    return mpeg.mpeg_link if mpeg.begins_mpeg(head) else None


def _tell_of_the_rest(rest: bytes, what: str) -> None:
    if rest.strip(b"\0") and not rest.startswith((b"TAG", b"APETAGEX", b"LYRICSBEGIN")):
        log.warning("%s goes on for %d bytes after the end of its sound; they are not read", what, len(rest))
