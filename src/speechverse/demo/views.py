"""What the page shows of answers, transcripts, clips and errors: HTML in which all text is text."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from speechverse.demo.spectrogram import spectrogram
from speechverse.demo.talk import Turn
from speechverse.evaluation.report.render import render_page
from speechverse.longform.transcript import Segment
from speechverse.types import Seconds

HERE = "speechverse.demo"


def show_heading(encoder: str, llm: str) -> str:
    return _fill("heading.html", encoder=encoder, llm=llm)


def show_turns(turns: Sequence[Turn]) -> str:
    return _fill("turns.html", turns=turns)


def show_player(source: str) -> str:
    """A player of the clip at this address, in which a transcript's segments are played."""
    return _fill("player.html", source=source)


def show_transcript(segments: Sequence[Segment], done: bool) -> str:
    """A transcript whose segments play where they are chosen."""
    return _fill("transcript.html", segments=segments, done=done)


def show_clip(clip: str, limit: Seconds) -> str:
    """A clip's spectrogram and length.

    Raises:
        AudioError: If it cannot be read.
    """
    png, seconds = spectrogram(clip)
    coded = base64.b64encode(png).decode("ascii")
    return _fill("clip.html", png=coded, seconds=seconds, limit=limit)


def show_error(error: Exception) -> str:
    return _fill("error.html", told=str(error))


def read(name: str) -> str:
    """A file of the page."""
    return (files(HERE) / "templates" / name).read_text(encoding="utf-8")


def clock(seconds: Seconds) -> str:
    """Minutes and seconds, as players show them."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def _fill(template: str, **context: Any) -> str:
    return render_page(template, package=HERE, clock=clock, **context)
