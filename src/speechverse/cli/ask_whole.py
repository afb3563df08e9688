"""`speechverse ask` about a recording that is longer than the model hears at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from speechverse.cli.asking import SYSTEMS, Asked
from speechverse.errors import UserError

if TYPE_CHECKING:
    from speechverse.longform.whole import WholeAnswer
    from speechverse.pipeline import SpeechVerse
    from speechverse.types import Seconds


def is_too_long(asked: Asked, answering: Any, sound: Any) -> bool:
    """Whether who answers has to hear it in parts; what cannot be read is told when it is asked."""
    try:
        return (
            asked.system == SYSTEMS[0] and _seconds(sound) > answering.processor.max_audio_seconds
        )
    except UserError:
        return False


def ask_whole(
    asked: Asked, loaded: SpeechVerse, sound: Any, clip: Path, quiet: bool
) -> WholeAnswer:
    """Asks about each part and lets the LLM answer for the whole; says that it does.

    Raises:
        UserError: If the log-probabilities of tokens are wanted, which no single hearing gives.
    """
    from speechverse.terminal import Progress

    if asked.logprobs:
        raise UserError(
            f"'{clip}' is longer than the model hears at once, so its answer is made of several:"
            " leave out --logprobs"
        )
    seconds = _seconds(sound)
    with Progress("hearing, seconds", int(seconds), quiet=quiet) as shown:
        made = asked.of_whole(loaded, sound, shown.advance)
    typer.echo(
        f"note: '{clip}' lasts {seconds:.0f} s and the model hears"
        f" {loaded.processor.max_audio_seconds:g} s at once: each of {len(made.parts)} parts was"
        " asked about, and the LLM answers from these answers",
        err=True,
    )
    return made


def parts_of(made: WholeAnswer) -> list[dict[str, Any]]:
    """As JSON has them."""
    return [{"start": part.start, "end": part.end, "answer": part.text} for part in made.parts]


def _seconds(sound: Any) -> Seconds:
    """Length of a file, or of what came out of a pipe."""
    from speechverse.audio import duration_of

    return duration_of(sound) if isinstance(sound, Path) else sound.duration
