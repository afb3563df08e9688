"""`speechverse train`: a recipe, walked stage by stage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from speechverse.cli.offline import Offline
from speechverse.cli.options import Json, Overwrite, RunFolder


def _print_schema(wanted: bool) -> None:
    if wanted:
        import json

        from speechverse.training.recipe_files import recipe_schema

        typer.echo(json.dumps(recipe_schema(), indent=1))
        raise typer.Exit


def command(
    recipe: Annotated[
        str, typer.Argument(help="A recipe file, or a built-in recipe's name: small, laptop, ...")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE", help="Changes to it, such as curriculum.align.steps=50"
        ),
    ] = None,
    output: RunFolder = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the folder's last whole checkpoint.")
    ] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    offline: Offline = False,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema",
            help="Print the recipe's JSON schema and stop.",
            is_eager=True,
            callback=_print_schema,
        ),
    ] = False,
) -> None:
    """Train a model from a recipe: the curriculum's stages, with validation and checkpoints.

    Stop it with Ctrl-C; it saves and says how to go on. Several GPUs: accelerate launch -m
    speechverse train ...

    [bold]Example[/bold]

      speechverse train laptop data.corpora.world.path=my-world --output runs/mine
    """
    from speechverse.errors import UserError, needs_extra

    if resume and overwrite:
        raise UserError("--resume goes on with a run, --overwrite deletes it; give one of them")
    with needs_extra("training", "train"):
        import lhotse  # noqa: F401
        from accelerate import PartialState

    import json

    from speechverse.training.recipe_files import load_recipe
    from speechverse.training.trainer import train

    loaded = load_recipe(recipe, overrides or [])
    folder = output or Path("runs") / loaded.name
    summary = train(loaded, folder, resume=resume, overwrite=overwrite)
    if not PartialState().is_main_process:  # of several, one tells
        return
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
    else:
        typer.echo("\n".join(summary_lines(summary, folder, loaded.encoder is not None)))


def summary_lines(summary: dict, folder: Path, encoder: bool) -> list[str]:
    """What to say of a finished run, a line each."""
    lines = [f"trained {summary['steps']} steps in {summary['seconds']:.0f} s"]
    for stage in summary["stages"]:
        measured = stage.get("validation/loss")
        loss = f"loss {stage['loss']:.3g}"
        loss += "" if measured is None else f", validation {measured:.3g}"
        lines.append(f"  {stage['stage']:<10} {stage['steps']:>7} steps, {loss}")
    if encoder:
        return [*lines, f"the encoder is in '{folder}'; in a recipe: model.encoder={folder}"]
    return [
        *lines,
        f"the model is in '{folder}': speechverse ask CLIP.wav \"...\" --model {folder}",
    ]
