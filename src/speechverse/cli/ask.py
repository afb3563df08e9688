"""`speechverse ask`: an answer about a clip."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from speechverse.cli.offline import Offline
from speechverse.errors import UserError


def command(
    clip: Annotated[Path, typer.Argument(help="An audio file: WAV, FLAC, MP3, OGG, M4A, ...")],
    instruction: Annotated[str, typer.Argument(help="What to do with it, in words.")],
    choices: Annotated[str | None, typer.Option(help="The answers allowed, with commas between.")] = None,
    model: Annotated[str, typer.Option(help="A built-in name, a checkpoint's folder, or a hub name.")] = "tiny",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; by default a GPU where there is one.")] = None,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="Answer by scoring every choice (mean log-probability a token), and show it."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
    offline: Offline = False,
) -> None:
    """Ask about a clip.

    [bold]Examples[/bold]

      speechverse ask clip.wav "What is being said?"

      speechverse ask clip.wav "Which emotion does the voice convey?" --choices happy,sad,angry,neutral
    """
    from speechverse.audio import load

    if scores and choices is None:
        raise UserError("--scores scores choices; name them with --choices a,b,c")
    load(clip)  # a bad clip is told before the heavy libraries and a model are loaded

    from speechverse.decoding import DecodingOptions
    from speechverse.pipeline import SpeechVerse, checked_choices

    allowed = None if choices is None else checked_choices(choices.split(","))
    asked = SpeechVerse.from_pretrained(model, device)
    answer = asked.ask(clip, instruction, allowed, DecodingOptions(choice_mode="score" if scores else "constrain"))
    by_choice = dict(answer.choice_scores or {})
    if json:
        scored = {"choice_scores": by_choice} if by_choice else {}
        told = {"answer": answer.text, **scored, "clip": str(clip), "instruction": instruction, "model": model}
        typer.echo(json_format.dumps(told, ensure_ascii=False))
        return
    typer.echo(answer.text)
    for choice, score in sorted(by_choice.items(), key=lambda item: -item[1]):
        typer.echo(f"  {score:8.3f}  {choice}")
