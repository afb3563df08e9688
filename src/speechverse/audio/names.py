"""Which files are taken for audio where a folder is given, by their names."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = frozenset(
    "wav wave flac ogg oga opus mp3 aiff aif aifc au snd caf w64 m4a m4b aac webm mp4 mka mkv mov"
    " wma amr 3gp".split()
)


def is_audio_name(path: str | Path) -> bool:
    """Whether a file is named as audio is; what it holds is seen when it is read."""
    return Path(path).suffix.lower().removeprefix(".") in SUFFIXES
