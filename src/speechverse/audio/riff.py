"""What a WAV file promises and what it holds: libsndfile reads a cut-off file without a word."""

from __future__ import annotations

import struct
from typing import BinaryIO

_STREAMED = (0xFFFFFFFF, 0x7FFFFFFF, 0)  # lengths written by programs that could not know them


def missing_bytes(file: BinaryIO) -> int:
    """How many bytes of the sound a WAV header tells of are not in the file; 0 for whole files and other formats.

    Programs that stream leave the length open (0 or all ones); what is there then counts as whole.

    Args:
        file: Open for reading, at its start; its position is moved.
    """
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return 0
    while len(chunk := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        begin = file.tell()
        if name == b"data":
            return 0 if size in _STREAMED else max(0, size - (file.seek(0, 2) - begin))
        file.seek(begin + size + size % 2)
    return 0
