"""`speechverse quickstart`: what the model that ships can do and be taught, in minutes, on this
machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechverse.cli.offline import Offline


def command(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for all that is made.")
    ] = Path("quickstart"),
    clip: Annotated[
        list[Path] | None,
        typer.Option(help="A recording of your own to ask about; may be given again."),
    ] = None,
    model: Annotated[str, typer.Option(help="A built-in name or a checkpoint's folder.")] = "small",
    limit: Annotated[int, typer.Option(min=1, help="Clips a task in the look.")] = 10,
    seed: Annotated[int, typer.Option(help="Seeds the made speech and the training.")] = 1,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Changes to how the lesson is trained, key=value.")
    ] = None,
    offline: Offline = False,
) -> None:
    """Ask the model about clips, look at it beside Whisper with the same LLM, teach it something
    new, write a page.

    Interrupt it when you like: the same command goes on where it stopped.

    [bold]Examples[/bold]

      speechverse quickstart

      speechverse quickstart --clip me.wav
    """
    from rich.console import Console

    from speechverse.audio import load
    from speechverse.cli.quickstart.flow import Quickstart, Sizes

    for path in clip or ():
        load(path)  # a file that cannot be heard is told before anything is fetched or made
    how = Sizes(per_task=limit), seed, tuple(overrides or ())
    Quickstart(Console(), output, model, tuple(clip or ()), *how).run()
