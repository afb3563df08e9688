"""`speechverse pretrain`: the frozen parts, made from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from speechverse.errors import UserError


def command(
    part: Annotated[
        Literal["encoder", "lm"], typer.Argument(help="What to make: the speech encoder or the small LLM.")
    ],
    recipe: Annotated[Path, typer.Argument(help="A YAML file, such as recipes/foundations/encoder-tiny.yaml.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The run's folder; runs/<name of the recipe> by default.")
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option(
            "--audio", help="Train the encoder on the audio files in this folder and below (BEST-RQ alone, no CTC)."
        ),
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="Also copy the finished folder here (an older one is replaced).")
    ] = None,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only make the encoder's speech and features; the same command trains.")
    ] = False,
    processes: Annotated[
        int, typer.Option(min=1, help="Processes that share each batch of the encoder's: one a core or a GPU.")
    ] = 1,
) -> None:
    """Make a frozen part: BEST-RQ and CTC for the encoder, text-to-text for the LLM.

    Stopped or killed, the same command goes on from its last saved step.

    Example: speechverse pretrain encoder recipes/foundations/encoder-tiny.yaml --output runs/encoder

    On recordings of your own: speechverse pretrain encoder recipes/foundations/encoder-audio.yaml --audio my-recordings

    On two cores: speechverse pretrain encoder recipes/foundations/encoder-tiny.yaml --processes 2
    """
    from speechverse.foundations.crew import Crew, hiring
    from speechverse.foundations.encoder import prepare_encoder, pretrain_encoder
    from speechverse.foundations.lm import pretrain_lm
    from speechverse.foundations.recipe import EncoderRecipe, LmRecipe, load_recipe
    from speechverse.foundations.saving import copy_folder

    if part == "encoder":
        encoder = load_recipe(recipe, EncoderRecipe)
        if audio is not None:
            encoder = encoder.on_audio(audio)
        folder = output or Path("runs") / encoder.name
        if prepare:
            if into is not None or processes > 1:
                raise UserError("--prepare trains nothing: leave out --processes and --into")
            typer.echo(f"made {prepare_encoder(encoder, folder)}")
            return
        with hiring(processes):
            made = pretrain_encoder(encoder, folder)
    else:
        if prepare:
            raise UserError("--prepare is for the encoder; the LLM reads text that is drawn as it trains")
        if processes > 1:
            raise UserError("--processes shares the encoder's batches; the small LLM trains in one process")
        if audio is not None:
            raise UserError("--audio is for the encoder; the LLM is made of text")
        lm = load_recipe(recipe, LmRecipe)
        made = pretrain_lm(lm, output or Path("runs") / lm.name)
    if not Crew.join().leads:
        return
    if into is not None:
        made = copy_folder(made, into)
    typer.echo(f"made {made}")
