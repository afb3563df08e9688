"""Many clips for one command: found in folders, each with its line in a file, gone on with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from speechverse.answers_file import AnswersFile
from speechverse.audio.names import SUFFIXES, is_audio_name
from speechverse.errors import UserError
from speechverse.files import files_in


def clips_in(place: Path) -> list[Path]:
    """Every clip of a folder and the folders in it that are not hidden, by name; or the one file.

    Raises:
        UserError: If there is none.
    """
    if not place.is_dir():
        return [place]
    files = [place / name for name in files_in(place)]
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


def do_all(
    clips: Sequence[Path],
    journal: Path,
    question: Mapping[str, Any],
    optional: Iterable[str],
    do: Callable[[list[Path], AnswersFile, int], dict[Path, str]],
    results: str,
    is_whole: Callable[[Path], bool] = lambda clip: True,
) -> None:
    """Does what an earlier run of the same command has not done; exit status 1 if clips failed.

    Args:
        question: As of `AnswersFile.opened`, with a checkpoint's name as `model`.
        do: From the clips to do, the journal and the number done before to why some failed.
        results: What is made and where, in words.
        is_whole: Whether what is made of a clip beside its line is still there.
    """
    from speechverse.evaluation.provenance import checkpoint_fingerprint

    question = {**question, "model_fingerprint": checkpoint_fingerprint(question["model"])[:16]}
    with AnswersFile.opened(journal, question, optional) as file:
        pending = [clip for clip in clips if not (file.holds(clip) and is_whole(clip))]
        if found := len(clips) - len(pending):
            typer.echo(f"found {found:,} of {len(clips):,} {results}", err=True)
        file.forget(pending)
        try:
            failed = do(pending, file, found) if pending else {}
        except KeyboardInterrupt:
            typer.echo("stopped; the same command goes on from here", err=True)
            raise
    for clip, error in list(failed.items())[:10]:
        typer.echo(f"failed: {clip}: {error}", err=True)
    if failed:
        typer.echo(
            f"{len(failed):,} of {len(clips):,} clips failed; '{journal}' says why, and the same"
            " command tries them again",
            err=True,
        )
        raise typer.Exit(1)
    typer.echo(f"{len(clips):,} {results}", err=True)
