"""`speechverse ask FOLDER ... --output FILE`: one question about every clip of a folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from speechverse.answers_file import AnswersFile
from speechverse.batching import in_batches
from speechverse.cli.ask_whole import ask_whole, is_too_long, parts_of
from speechverse.cli.asking import OPTIONAL, Asked
from speechverse.cli.many_clips import clips_in, do_all
from speechverse.cli.printing import print_json
from speechverse.errors import UserError

AT_ONCE_ON_CPU = 8
"""Clips whose answers are lost when a run is killed; a processor gains little from more at once."""


def ask_folder(asked: Asked, place: Path, output: Path, load: Any, json: bool) -> None:
    """Answers what is not answered yet, each answer written as it comes; exit status 1 if some
    clips could not be.

    Args:
        load: Loads who answers.
        json: Whether each is also printed, instead of how far it is.
    """
    from speechverse.terminal import Progress

    def answer(clips: list[Path], file: AnswersFile, found: int) -> dict[Path, str]:
        answering, size = load(), asked.options.max_batch
        if answering.model.device.type == "cpu":
            size = min(size, AT_ONCE_ON_CPU)
        failed, begun = dict[Path, str](), time.monotonic()
        with Progress("asking", found + len(clips), found, quiet=json) as shown:
            for number, some in enumerate(in_batches(clips, size)):
                made = _records(asked, answering, some)
                lines = [{"clip": str(clip), **record} for clip, record in made.items()]
                file.add(lines)
                if json:
                    for line in lines:
                        print_json({**line, **asked.identity()})
                failed |= {clip: one["error"] for clip, one in made.items() if "error" in one}
                pace = (number * size + len(some)) / (time.monotonic() - begun)
                shown.advance(len(some), **{"clips/s": pace})
        return failed

    results = f"answers in '{output}'"
    # Not a key of the answer's own, beside which it stands in every line.
    identity = asked.identity() | ({"with_logprobs": True} if asked.logprobs else {})
    do_all(clips_in(place), output, identity, OPTIONAL, answer, results)


def _records(asked: Asked, answering: Any, clips: list[Path]) -> dict[Path, dict[str, Any]]:
    """What is written down of each clip."""
    long = [clip for clip in clips if is_too_long(asked, answering, clip)]
    short = [clip for clip in clips if clip not in long]
    answers = asked.of_all(answering, list(short)) if short else []
    records = {clip: asked.record(answer) for clip, answer in zip(short, answers, strict=True)}
    return {
        clip: _record_of_whole(asked, answering, clip) if clip in long else records[clip]
        for clip in clips
    }


def _record_of_whole(asked: Asked, answering: Any, clip: Path) -> dict[str, Any]:
    try:
        made = ask_whole(asked, answering, clip, clip, quiet=True)
    except UserError as error:
        return {"error": str(error)}
    return {**asked.record(made.answer), "parts": parts_of(made)}
