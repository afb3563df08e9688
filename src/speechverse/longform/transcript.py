"""What is said in a sound and when, as text, subtitles and plain values."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from speechverse.types import CUT, Ended, Seconds

WritingTask = Literal["transcribe", "translate"]
"""OpenAI's words for writing what is said as it is said, or in another language."""
_LINE, _LINES = 42, 2
"""Signs of a subtitle's line, and its lines, as broadcasters have them."""


@dataclass(frozen=True, slots=True)
class Segment:
    """What is said from one point of a sound to another.

    Attributes:
        start: Where it begins, in seconds.
        end: Where it ends.
        text: What is said.
        ended: Why the text ends where it does.
    """

    start: Seconds
    end: Seconds
    text: str
    ended: Ended = "end"

    @property
    def cut(self) -> bool:
        """Whether something may be missing of it."""
        return self.ended in CUT

    def cues(self) -> Iterator[tuple[Seconds, Seconds, str]]:
        """Subtitles: start, end and at most two lines; inside the segment, time goes by the text's
        length.
        """
        lines = textwrap.wrap(self.text, _LINE, break_on_hyphens=False)
        shown = ["\n".join(lines[i : i + _LINES]) for i in range(0, len(lines), _LINES)]
        pace, start = (self.end - self.start) / max(1, sum(map(len, shown))), self.start
        for text in shown:
            yield start, (start := start + pace * len(text)), text


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in a sound.

    Attributes:
        segments: Its stretches of speech, in their order; what lies between is no speech.
        duration: Of the sound, in seconds.
        decoder: Who wrote it down.
        language: Code of the language that the decoder was told; None where it was told none.
        error: Why there is none, where whoever asked wanted the others all the same.
        task: Whether it is in the language that is spoken, or in another.
    """

    segments: tuple[Segment, ...]
    duration: Seconds
    decoder: str
    language: str | None = None
    error: str | None = None
    task: WritingTask = "transcribe"

    @property
    def text(self) -> str:
        """All of it."""
        return " ".join(segment.text for segment in self.segments if segment.text)

    @property
    def cut(self) -> tuple[Segment, ...]:
        """Segments of which something may be missing."""
        return tuple(segment for segment in self.segments if segment.cut)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as OpenAI's `verbose_json` has them, and who wrote."""
        return {
            "task": self.task,
            "language": self.language,
            "duration": round(self.duration, 3),
            "text": self.text,
            "decoder": self.decoder,
            **({"error": self.error} if self.error else {}),
            "segments": [
                {
                    "id": number,
                    "start": round(segment.start, 3),
                    "end": round(segment.end, 3),
                    "text": segment.text,
                    "ended": segment.ended,
                }
                for number, segment in enumerate(self.segments)
            ],
        }

    def srt(self) -> str:
        """SubRip subtitles."""
        return "\n".join(
            f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n"
            for number, (start, end, text) in enumerate(self._cues(), start=1)
        )

    def vtt(self) -> str:
        """WebVTT subtitles."""
        return "WEBVTT\n" + "".join(
            f"\n{_clock(start, '.')} --> {_clock(end, '.')}\n{_escape(text)}\n"
            for start, end, text in self._cues()
        )

    def _cues(self) -> Iterator[tuple[Seconds, Seconds, str]]:
        return (cue for segment in self.segments for cue in segment.cues())


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: Seconds, point: str) -> str:
    minutes, thousandths = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{thousandths // 1000:02}{point}{thousandths % 1000:03}"
