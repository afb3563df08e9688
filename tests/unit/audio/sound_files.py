"""Files of sound as programs write them, made in memory: whole, joined, piped, with
wrong headers.
"""

from __future__ import annotations

import io
import struct
from functools import cache

import av
import numpy as np
import soundfile

SECONDS = 0.4


def sound(
    pitch: float = 440.0, seconds: float = SECONDS, rate: int = 16_000, channels: int = 1
) -> np.ndarray:
    """A tone with some noise, float32 (T, channels)."""
    times = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(int(pitch)).uniform(-0.05, 0.05, len(times))
    return np.repeat(
        (0.4 * np.sin(2 * np.pi * pitch * times) + noise)[:, None], channels, axis=1
    ).astype(np.float32)


@cache
def written(
    kind: str, subtype: str | None = None, pitch: float = 440.0, seconds: float = SECONDS, rate: int = 16_000,
    channels: int = 1,
) -> bytes:  # fmt: skip
    """As libsndfile writes it."""
    memory = io.BytesIO()
    soundfile.write(
        memory, sound(pitch, seconds, rate, channels), rate, format=kind, subtype=subtype
    )
    return memory.getvalue()


class _Pipe(io.RawIOBase):
    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, data) -> int:
        self.content += bytes(data)
        return len(data)


@cache
def muxed(
    container: str,
    codec: str,
    pitch: float = 440.0,
    seconds: float = SECONDS,
    rate: int = 48_000,
    piped: bool = False,
) -> bytes:
    """As FFmpeg writes it, into a file or a pipe."""
    memory = _Pipe() if piped else io.BytesIO()
    with av.open(memory, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        samples = np.ascontiguousarray(sound(pitch, seconds, rate).T)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate = rate
        for fitting in av.AudioResampler(format=stream.format, layout="mono", rate=rate).resample(
            frame
        ):
            out.mux(stream.encode(fitting))
        out.mux(stream.encode(None))
    return memory.content if isinstance(memory, _Pipe) else memory.getvalue()


def with_number(
    content: bytes, name: bytes, number: int, order: str = "<I", after: int = 0
) -> bytes:
    """With another number after a name in the header, and so many bytes after it."""
    at = content.index(name) + len(name) + after
    return content[:at] + struct.pack(order, number) + content[at + struct.calcsize(order) :]


def flac_of_length(content: bytes, number: int) -> bytes:
    """A FLAC whose header tells another number of samples."""
    (packed,) = struct.unpack_from(">Q", content, 18)
    return content[:18] + struct.pack(">Q", packed >> 36 << 36 | number) + content[26:]


def mp3_without_header(content: bytes) -> bytes:
    """An MP3 that begins with its first frame of sound."""
    tag = 10 + int.from_bytes(content[8:10], "big") if content.startswith(b"ID3") else 0
    head = content[tag : tag + 3]
    return content[content.index(head[:2], tag + 4) :]
