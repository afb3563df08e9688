"""Short sounds in the formats that corpora come in."""

from __future__ import annotations

import zlib
from pathlib import Path

import av
import numpy as np
import soundfile


def sound(path: Path, seconds: float = 0.4, rate: int = 16_000, channels: int = 1) -> Path:
    """A noise of its own for each name, in the format that its ending tells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(path.name.encode()))
    samples = 0.1 * rng.standard_normal((round(seconds * rate), channels)).astype(np.float32)
    if path.suffix == ".sph":
        soundfile.write(path, samples, rate, format="NIST", subtype="ULAW")
    elif path.suffix == ".m4a":
        _write_m4a(path, samples[:, 0], rate)
    else:
        soundfile.write(path, samples, rate)
    return path


def _write_m4a(path: Path, samples: np.ndarray, rate: int) -> None:
    with av.open(path, "w", format="ipod") as file:
        track = file.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        for packet in [*track.encode(frame), *track.encode(None)]:
            file.mux(packet)


def text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def table(path: Path, *rows: tuple[str, ...], delimiter: str = "\t") -> Path:
    return text(path, *(delimiter.join(row) for row in rows))
