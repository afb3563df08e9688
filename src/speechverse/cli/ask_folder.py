"""`speechverse ask FOLDER ... --output FILE`: one question about every clip of a folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import typer

from speechverse.answers_file import AnswersFile
from speechverse.audio.names import SUFFIXES, is_audio_name
from speechverse.cli.asking import OPTIONAL, Asked
from speechverse.errors import UserError

AT_ONCE_ON_CPU = 8
"""Clips whose answers are lost when a run is killed; a processor gains little from more at once."""


def clips_in(place: Path) -> list[Path]:
    """Every clip of a folder and the folders in it, by name; or the one file.

    Raises:
        UserError: If there is none.
    """
    if not place.is_dir():
        return [place]
    files = [path for path in place.rglob("*") if path.is_file() and path.name[:1] != "."]
    clips = sorted(path for path in files if is_audio_name(path))
    if not clips:
        raise UserError(
            f"no audio file among the {len(files)} files of '{place}' (its name would end in"
            f" .{', .'.join(sorted(SUFFIXES))})"
        )
    if others := len(files) - len(clips):
        typer.echo(
            f"left out, not named as audio is: {others:,} of the files in '{place}'", err=True
        )
    return clips


def ask_folder(asked: Asked, place: Path, output: Path, load: Any, quiet: bool) -> None:
    """Answers what is not answered yet, each answer written as it comes; exit status 1 if some
    clips could not be.

    Args:
        load: Loads who answers.
    """
    from speechverse.evaluation.provenance import checkpoint_fingerprint

    clips = clips_in(place)
    question = asked.identity() | {"model_fingerprint": checkpoint_fingerprint(asked.model)[:16]}
    with AnswersFile.opened(output, question, OPTIONAL) as file:
        pending = [clip for clip in clips if not file.holds(clip)]
        if found := len(clips) - len(pending):
            typer.echo(f"{found:,} of {len(clips):,} clips are answered in '{output}'", err=True)
        try:
            failed = _answer(asked, pending, file, load(), found, quiet) if pending else []
        except KeyboardInterrupt:
            typer.echo("stopped; the same command goes on from here", err=True)
            raise
    for clip, error in failed[:10]:
        typer.echo(f"not answered: {clip}: {error}", err=True)
    if failed:
        typer.echo(
            f"{len(failed):,} of {len(clips):,} clips could not be answered; '{output}' says why,"
            " and the same command tries them again",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"{len(clips):,} answers in '{output}'", err=True)


def _answer(
    asked: Asked, clips: list[Path], file: AnswersFile, answering: Any, found: int, quiet: bool
) -> list[tuple[Path, str]]:
    """Asks about clips, some at a time, and gives those that could not be asked about."""
    from speechverse.training.logs import Progress

    on_cpu = answering.model.device.type == "cpu"
    size = min(asked.options.max_batch, AT_ONCE_ON_CPU) if on_cpu else asked.options.max_batch
    failed, begun = list[tuple[Path, str]](), time.monotonic()
    with Progress("asking", found + len(clips), found, quiet=quiet) as shown:
        for start in range(0, len(clips), size):
            some = clips[start : start + size]
            made = asked.of_all(answering, list(some))
            pairs = list(zip(some, made, strict=True))
            file.add({"clip": str(clip), **asked.record(answer)} for clip, answer in pairs)
            failed += [(clip, answer.error) for clip, answer in pairs if answer.error is not None]
            pace = (start + len(some)) / (time.monotonic() - begun)
            shown.advance(len(some), **{"clips/s": pace})
    return failed
