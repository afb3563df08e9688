"""`speechverse ask`: an answer about a clip."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechverse.errors import UserError

if TYPE_CHECKING:
    from speechverse.audio import Waveform


def command(
    clip: Annotated[Path, typer.Argument(help="An audio file: WAV, FLAC, MP3, OGG, M4A, ...; - is standard input.")],
    instruction: Annotated[str, typer.Argument(help="What to do with it, in words.")],
    choices: Annotated[str | None, typer.Option(help="The answers allowed, with commas between.")] = None,
    model: Annotated[str, typer.Option(help="A built-in name, a checkpoint's folder, or a hub name.")] = "tiny",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; by default a GPU where there is one.")] = None,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="Answer by scoring every choice (mean log-probability a token), and show it."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Ask about a clip.

    [bold]Examples[/bold]

      speechverse ask clip.wav "What is being said?"

      speechverse ask clip.wav "Which emotion does the voice convey?" --choices happy,sad,angry,neutral

      arecord -f S16_LE -r 16000 -d 5 | speechverse ask - "What is being said?"
    """
    if scores and choices is None:
        raise UserError("--scores scores choices; name them with --choices a,b,c")
    sound = _heard(clip)  # a bad clip is told before the heavy libraries and a model are loaded

    from speechverse.decoding import DecodingOptions
    from speechverse.pipeline import SpeechVerse, checked_choices

    allowed = None if choices is None else checked_choices(choices.split(","))
    asked = SpeechVerse.from_pretrained(model, device)
    answer = asked.ask(sound, instruction, allowed, DecodingOptions(choice_mode="score" if scores else "constrain"))
    by_choice = dict(answer.choice_scores or {})
    if json:
        scored = {"choice_scores": by_choice} if by_choice else {}
        told = {"answer": answer.text, **scored, "clip": str(clip), "instruction": instruction, "model": model}
        typer.echo(json_format.dumps(told, ensure_ascii=False))
        return
    typer.echo(answer.text)
    for choice, score in sorted(by_choice.items(), key=lambda item: -item[1]):
        typer.echo(f"  {score:8.3f}  {choice}")


def _heard(clip: Path) -> Path | Waveform:
    """The clip, tried; what comes out of a pipe (at most 1 GiB) can be read only once."""
    from speechverse.audio import load, load_stream

    if str(clip) == "-":
        if sys.stdin.isatty():
            raise UserError("'-' is standard input, and nothing is piped into it; name a file, or pipe one in")
        return load_stream(sys.stdin.buffer, "standard input")
    waveform = load(clip)
    return clip if clip.is_file() else waveform
