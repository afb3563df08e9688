"""`speechverse pretrain`: a speech encoder, made from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    part: Annotated[Literal["encoder"], typer.Argument(help="What to make.")],
    recipe: Annotated[Path, typer.Argument(help="A YAML file, such as recipes/foundations/best-rq.yaml.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The run's folder; runs/<name of the recipe> by default.")
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option("--audio", help="Train on the audio files in this folder and below (BEST-RQ alone, no CTC)."),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that share each batch: one a core or a GPU.")] = 1,
) -> None:
    """Pre-train a speech encoder: BEST-RQ on recordings, then CTC where there are transcripts.

    Stopped or killed, the same command goes on from its last saved step.

    Example: speechverse pretrain encoder recipes/foundations/best-rq.yaml --audio my-recordings --output runs/encoder
    """
    from speechverse.foundations.crew import Crew, hiring
    from speechverse.foundations.encoder import pretrain_encoder
    from speechverse.foundations.recipe import load_recipe

    encoder = load_recipe(recipe)
    if audio is not None:
        encoder = encoder.on_audio(audio)
    with hiring(processes):
        made = pretrain_encoder(encoder, output or Path("runs") / encoder.name)
    if Crew.join().leads:
        typer.echo(f"made {made}")
