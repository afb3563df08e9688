"""`speechverse pretrain`: a speech encoder, made from nothing, by the one trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from speechverse.cli.options import Overwrite, RunFolder
from speechverse.cli.train import summary_lines


def command(
    part: Annotated[Literal["encoder"], typer.Argument(help="What to make.")],
    recipe: Annotated[str, typer.Argument(help="best-rq, ctc, or a YAML file like them.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Changes to it, such as curriculum.best_rq.steps=500"
        ),
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option("--audio", help="Folder of recordings: data.corpora.own.audio of the recipe."),
    ] = None,
    output: RunFolder = None,
    overwrite: Overwrite = False,
) -> None:
    """Pre-train a speech encoder: BEST-RQ on recordings, then CTC where there are transcripts.

    Stopped or killed, the same command goes on. Several GPUs: accelerate launch -m speechverse
    pretrain ...

    [bold]Example[/bold]

      speechverse pretrain encoder best-rq --audio my-recordings --output runs/mine
    """
    from speechverse.errors import UserError, needs_extra

    with needs_extra("pre-training", "train"):
        import lhotse  # noqa: F401
        from accelerate import PartialState

    from speechverse.training.recipe_files import load_recipe
    from speechverse.training.trainer import train

    changes = [*(overrides or []), *([f"data.corpora.own.audio={audio}"] if audio else [])]
    loaded = load_recipe(recipe, changes)
    if loaded.encoder is None:
        raise UserError(
            f"the recipe '{recipe}' pre-trains no encoder; for a model: speechverse train {recipe}"
        )
    folder = output or Path("runs") / loaded.name
    summary = train(loaded, folder, resume=not overwrite, overwrite=overwrite)
    if PartialState().is_main_process:
        typer.echo("\n".join(summary_lines(summary, folder, encoder=True)))
