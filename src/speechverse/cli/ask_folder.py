"""`speechverse ask FOLDER ... --output FILE`: one question about every clip of a folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from speechverse.answers_file import AnswersFile
from speechverse.cli.asking import OPTIONAL, Asked
from speechverse.cli.many_clips import clips_in, do_all

AT_ONCE_ON_CPU = 8
"""Clips whose answers are lost when a run is killed; a processor gains little from more at once."""


def ask_folder(asked: Asked, place: Path, output: Path, load: Any, quiet: bool) -> None:
    """Answers what is not answered yet, each answer written as it comes; exit status 1 if some
    clips could not be.

    Args:
        load: Loads who answers.
    """
    from speechverse.training.logs import Progress

    def answer(clips: list[Path], file: AnswersFile, found: int) -> dict[Path, str]:
        answering, size = load(), asked.options.max_batch
        if answering.model.device.type == "cpu":
            size = min(size, AT_ONCE_ON_CPU)
        failed, begun = dict[Path, str](), time.monotonic()
        with Progress("asking", found + len(clips), found, quiet=quiet) as shown:
            for start in range(0, len(clips), size):
                some = clips[start : start + size]
                made = dict(zip(some, asked.of_all(answering, list(some)), strict=True))
                file.add({"clip": str(clip), **asked.record(one)} for clip, one in made.items())
                failed |= {clip: one.error for clip, one in made.items() if one.error is not None}
                pace = (start + len(some)) / (time.monotonic() - begun)
                shown.advance(len(some), **{"clips/s": pace})
        return failed

    results = f"answers in '{output}'"
    do_all(clips_in(place), output, asked.identity(), OPTIONAL, answer, results)
